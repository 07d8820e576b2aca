// How large images are drawn is a person's own: it holds at once, is kept in the browser, and an address may say another.
(function () {
  "use strict";
  var KEPT = "secondguess image size";
  var root = document.documentElement;

  function links() { return Array.prototype.slice.call(document.querySelectorAll("a[data-size]")); }

  function draw(name) {
    var chosen = links().find(function (link) { return link.getAttribute("data-size") === name; });
    if (!chosen) { return; }
    root.style.setProperty("--images", chosen.getAttribute("data-pixels") + "px");
    root.setAttribute("data-images", name);
    Array.prototype.forEach.call(document.querySelectorAll(".preds td.pic img"), function (image) {
      image.width = image.height = Number(chosen.getAttribute("data-pixels"));
    });
    links().forEach(function (link) {
      if (link === chosen) { link.parentElement.setAttribute("aria-current", "true"); }
      else { link.parentElement.removeAttribute("aria-current"); }
    });
  }

  document.addEventListener("click", function (event) {
    var link = event.target.closest("a[data-size]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) { return; }
    event.preventDefault();
    localStorage.setItem(KEPT, link.getAttribute("data-size"));
    history.replaceState(history.state, "", link.getAttribute("href"));
    draw(link.getAttribute("data-size"));
    link.closest("details").open = false;
  });

  function kept() { draw(new URLSearchParams(location.search).get("size") || localStorage.getItem(KEPT)); }
  kept();
  document.addEventListener("come", kept);
})();
