// What a mouse is told by staying on something is told to a finger that touches it: whole names, the numbers of points.
(function () {
  "use strict";
  var said = document.createElement("output");
  said.className = "told";
  said.hidden = true;
  document.body.appendChild(said);

  function title(target) {
    for (var part = target; part && part !== document.body; part = part.parentElement) {
      if (part.closest("a[href], button, summary, label, input, select, textarea") === part) { return ""; }
      var own = Array.prototype.find.call(part.children, function (child) { return child.tagName === "title"; });
      if (own || part.getAttribute("title")) { return own ? own.textContent : part.getAttribute("title"); }
    }
    return "";
  }

  document.addEventListener("click", function (event) {
    var text = event.target.closest("a[href], button, summary, label") ? "" : title(event.target);
    said.textContent = text;
    said.hidden = !text;
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") { said.hidden = true; }
  });
})();
