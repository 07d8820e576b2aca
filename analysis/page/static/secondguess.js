// Comfort only: the page works without it. Nothing is sent anywhere but to the page's own links and forms.
(function () {
  "use strict";
  var typing = function (target) { return /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName); };
  var follow = function (selector) { var link = document.querySelector(selector); if (link) { link.click(); return true; } };
  var rows = function () { return Array.prototype.slice.call(document.querySelectorAll("table.preds tbody tr")); };
  var here = -1;
  var BEGIN = "secondguess row";  // where the next page of rows begins: at its first row or its last

  function step(by) {
    var all = rows();
    if (!all.length) { return; }
    if (here + by >= all.length || (here + by < 0 && here === 0)) {
      sessionStorage.setItem(BEGIN, by > 0 ? "first" : "last");
      if (follow(by > 0 ? ".pager a[rel=next]" : ".pager a[rel=prev]")) { return; }
      sessionStorage.removeItem(BEGIN);
    }
    here = Math.max(0, Math.min(all.length - 1, here + by));
    all.forEach(function (row, place) { row.classList.toggle("here", place === here); });
    all[here].scrollIntoView({ block: "nearest" });
    var link = all[here].querySelector("a");
    if (link) { link.focus({ preventScroll: true }); }
  }

  var begin = sessionStorage.getItem(BEGIN);
  sessionStorage.removeItem(BEGIN);
  if (begin) { here = begin === "first" ? -1 : rows().length; step(begin === "first" ? 1 : -1); }

  // The slider's epoch where it holds for the tables, else that of the last table.
  function epoch(by) {
    var slider = document.querySelector(".slider[data-holds] input[type=range]");
    if (slider) {
      slider.value = Number(slider.value) + by;
      slider.dispatchEvent(new Event("input"));
      slider.form.requestSubmit();
      return;
    }
    var links = Array.prototype.slice.call(document.querySelectorAll(".steps"));
    var group = links[links.length - 1];
    if (!group) { return follow(by > 0 ? "a[rel=next]" : "a[rel=prev]"); }
    var all = Array.prototype.slice.call(group.querySelectorAll("a"));
    var now = all.findIndex(function (link) { return link.hasAttribute("aria-current"); });
    var next = now < 0 ? null : all[now + by];
    if (next) { next.click(); }
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey && event.key === "Enter" && document.getElementById("sqlform")) {
      document.getElementById("sqlform").requestSubmit();
      return;
    }
    if (event.key === "Escape") { closed(function (menu) { return menu.contains(document.activeElement); }); }
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
    var places = (control.getAttribute("data-places") || "").split(" ");  // what a slider over validations has at each place
    control.addEventListener("input", function () {
      if (!output || control.type !== "range") { return; }
      output.value = places[control.value - 1] || control.value;
      if (places[0]) { control.setAttribute("aria-valuetext", output.value); }
    });
    control.addEventListener("change", function () { control.form.requestSubmit(); });
  });

  function copied(button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var text = document.getElementById(button.getAttribute("data-copy")).textContent;
      navigator.clipboard.writeText(text).then(function () { button.textContent = "Copied"; });
    });
  }

  // A column at hand is put where the filter is being typed.
  function inserting(name) {
    name.classList.add("inserts");
    name.addEventListener("mousedown", function (event) {
      var box = document.getElementById("filter");
      event.preventDefault();
      box.setRangeText(name.getAttribute("data-insert") + " ", box.selectionStart, box.selectionEnd, "end");
      box.focus();
    });
  }

  // Pinned columns stay in sight one beside the other: how wide each is, only the browser knows.
  function pinned(row) {
    var left = 0;
    Array.prototype.forEach.call(row.querySelectorAll(".pin"), function (cell) {
      cell.style.left = left + "px";
      left += cell.offsetWidth;
    });
  }

  // What a part of the page needs that has just come.
  function come(part) {
    Array.prototype.forEach.call(part.querySelectorAll("[data-copy]"), copied);
    Array.prototype.forEach.call(part.querySelectorAll(".hand [data-insert]"), inserting);
    Array.prototype.forEach.call(part.querySelectorAll("table.preds tr"), pinned);
  }
  come(document);
  document.addEventListener("come", function (event) { come(event.target); });

  // Close the menus; the focus that was in one goes back to what opened it.
  function closed(focused, but) {
    Array.prototype.forEach.call(document.querySelectorAll("details.menu[open]"), function (menu) {
      if (but && menu.contains(but)) { return; }
      var again = focused && focused(menu);
      menu.open = false;
      if (again) { menu.querySelector("summary").focus(); }
    });
  }
  document.addEventListener("click", function (event) { closed(null, event.target); });
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

// The page of all runs: new runs and epochs appear by themselves; what is chosen and where the focus is stay.
(function () {
  "use strict";
  var now = document.querySelector("[data-live]");
  if (!now) { return; }
  var last = now.innerHTML;
  var texts = function (part) { return Array.prototype.slice.call(part.querySelectorAll("input[type=text], input[type=search]")); };
  var named = function (element) { return /^(text|search)$/.test(element.type) ? "box " + element.name : element.name ? element.name + "=" + element.value : element.getAttribute("href"); };
  var inputs = function (part) { return Array.prototype.slice.call(part.querySelectorAll("input")); };

  function put(fresh) {
    var chosen = inputs(now).filter(function (box) { return box.checked; }).map(named);
    var focused = now.contains(document.activeElement) ? named(document.activeElement) : null;
    var typed = texts(now).map(function (box) { return box.value === box.defaultValue ? null : box.value; });
    var next = document.importNode(fresh, true);
    texts(next).forEach(function (box, place) { if (typed[place]) { box.value = typed[place]; } });
    now.replaceWith(next);
    now = next;
    var groups = chosen.map(function (text) { return text.split("=")[0]; });
    inputs(now).forEach(function (box) {  // where nothing was chosen the page's own choice stays
      if (box.type === "checkbox" || groups.indexOf(box.name) >= 0) { box.checked = chosen.indexOf(named(box)) >= 0; }
    });
    var again = focused && Array.prototype.slice.call(now.querySelectorAll("a, input, button")).find(function (element) { return named(element) === focused; });
    if (again) { again.focus({ preventScroll: true }); }
  }

  // The server says by a tag that nothing changed, before it draws anything; it is asked the less the longer it takes.
  var tag = null;
  function look() {
    if (document.hidden) { window.setTimeout(look, 2000); return; }
    var began = Date.now();
    var again = function () { window.setTimeout(look, Math.min(10000, Math.max(2000, 100 * (Date.now() - began)))); };
    fetch(location.href, { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} }).then(function (answer) {
      tag = answer.status === 304 ? tag : answer.headers.get("etag");
      return answer.ok ? answer.text() : null;
    }).then(function (text) {
      var fresh = text && new DOMParser().parseFromString(text, "text/html").querySelector("[data-live]");
      if (fresh && fresh.innerHTML !== last) { last = fresh.innerHTML; put(fresh); }
    }).then(again, again);  // the server may have ended; the page stays as it is
  }
  window.setTimeout(look, 2000);
})();

// The page of SQL: names beside the box are put into it; while a query runs it can be cancelled, which the server sees.
(function () {
  "use strict";
  var form = document.getElementById("sqlform");
  if (!form) { return; }
  var box = form.querySelector("textarea");
  var cancel = form.querySelector("[data-cancel]");
  var said = form.querySelector("[data-elapsed]");
  var timer = null;

  Array.prototype.forEach.call(document.querySelectorAll("[data-insert]"), function (name) {
    var button = document.createElement("button");
    button.type = "button";
    button.className = "insert mono";
    button.textContent = name.textContent;
    button.title = "put it into the SQL";
    button.addEventListener("click", function (event) {
      event.preventDefault();  // in a summary it would open and close the list
      var before = box.value.slice(0, box.selectionStart);
      var text = (/[\w"]$/.test(before) ? " " : "") + name.getAttribute("data-insert");
      box.setRangeText(text, box.selectionStart, box.selectionEnd, "end");
      box.focus();
    });
    name.replaceChildren(button);
  });

  function done(text) {
    window.clearInterval(timer);
    cancel.hidden = true;
    said.textContent = text;
  }

  form.addEventListener("submit", function () {
    var began = Date.now();
    var tell = function () { said.textContent = "running, " + Math.round((Date.now() - began) / 1000) + " s"; };
    window.clearInterval(timer);
    timer = window.setInterval(tell, 500);
    cancel.hidden = false;
    tell();
  });
  cancel.addEventListener("click", function () {
    window.stop();
    done("cancelled; the store is as it was");
  });
  window.addEventListener("pageshow", function (event) { if (event.persisted) { done("Ctrl-Enter"); } });
})();
