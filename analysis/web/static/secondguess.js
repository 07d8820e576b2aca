// Comfort only: the page works without it. Nothing is sent anywhere but to the page's own links and forms.
(function () {
  "use strict";
  var typing = function (target) { return /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName); };
  var follow = function (selector) { var link = document.querySelector(selector); if (link) { link.click(); return true; } };
  var rows = function () { return Array.prototype.slice.call(document.querySelectorAll("table.preds tbody tr")); };
  var here = -1;

  function step(by) {
    var all = rows();
    if (!all.length) { return; }
    here = Math.max(0, Math.min(all.length - 1, here + by));
    all.forEach(function (row, place) { row.classList.toggle("here", place === here); });
    all[here].scrollIntoView({ block: "nearest" });
    var link = all[here].querySelector("a");
    if (link) { link.focus({ preventScroll: true }); }
  }

  function epoch(by) {
    var links = Array.prototype.slice.call(document.querySelectorAll(".steps"));
    var group = links[links.length - 1];
    if (!group) { return follow(by > 0 ? "a[rel=next]" : "a[rel=prev]"); }
    var all = Array.prototype.slice.call(group.querySelectorAll("a"));
    var now = all.findIndex(function (link) { return link.hasAttribute("aria-current"); });
    var next = all[now + by];
    if (next) { next.click(); }
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey && event.key === "Enter" && document.getElementById("sqlform")) {
      document.getElementById("sqlform").requestSubmit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) { return; }
    var keys = {
      j: function () { step(1); },
      k: function () { step(-1); },
      ArrowRight: function () { epoch(1); },
      ArrowLeft: function () { epoch(-1); },
      "/": function () { var box = document.getElementById("filter"); if (box) { box.focus(); event.preventDefault(); } },
      "?": function () { location.href = "/help"; }
    };
    if (keys[event.key]) { keys[event.key](); }
  });

  Array.prototype.forEach.call(document.querySelectorAll("[data-submit]"), function (control) {
    var output = control.form.querySelector("output");
    control.addEventListener("input", function () { if (output && control.type === "range") { output.value = control.value; } });
    control.addEventListener("change", function () { control.form.requestSubmit(); });
  });

  Array.prototype.forEach.call(document.querySelectorAll("[data-copy]"), function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var text = document.getElementById(button.getAttribute("data-copy")).textContent;
      navigator.clipboard.writeText(text).then(function () { button.textContent = "Copied"; });
    });
  });

  // A column at hand is put where the filter is being typed.
  Array.prototype.forEach.call(document.querySelectorAll("[data-insert]"), function (name) {
    name.classList.add("inserts");
    name.addEventListener("mousedown", function (event) {
      var box = document.getElementById("filter");
      event.preventDefault();
      box.setRangeText(name.getAttribute("data-insert") + " ", box.selectionStart, box.selectionEnd, "end");
      box.focus();
    });
  });

  // Pinned columns stay in sight one beside the other: how wide each is, only the browser knows.
  Array.prototype.forEach.call(document.querySelectorAll("table.preds tr"), function (row) {
    var left = 0;
    Array.prototype.forEach.call(row.querySelectorAll(".pin"), function (cell) {
      cell.style.left = left + "px";
      left += cell.offsetWidth;
    });
  });

  document.addEventListener("click", function (event) {
    Array.prototype.forEach.call(document.querySelectorAll("details.menu[open]"), function (menu) {
      if (!menu.contains(event.target)) { menu.open = false; }
    });
  });

  if (document.querySelector("[data-live]")) {
    window.setInterval(function () {
      if (document.hidden || document.activeElement !== document.body) { return; }
      fetch(location.href).then(function (answer) { return answer.ok ? answer.text() : null; }).then(function (text) {
        if (!text) { return; }
        var fresh = new DOMParser().parseFromString(text, "text/html").querySelector("tbody");
        var old = document.querySelector("tbody");
        if (fresh && old && fresh.innerHTML !== old.innerHTML) {
          var chosen = Array.prototype.map.call(old.querySelectorAll("input:checked"), function (box) { return box.name + "=" + box.value; });
          var put = document.importNode(fresh, true);
          old.replaceWith(put);
          Array.prototype.forEach.call(put.querySelectorAll("input"), function (box) { box.checked = chosen.indexOf(box.name + "=" + box.value) >= 0; });
        }
      });
    }, 2000);
  }
})();

// An example's page: j and k lead to the next and the previous one of the view.
(function () {
  "use strict";
  if (!document.querySelector(".example")) { return; }
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) { return; }
    var link = document.querySelector({ j: "a[rel=next]", k: "a[rel=prev]" }[event.key] || "none");
    if (link) { link.click(); }
  });
})();
