// The distributions in a table's heads: asked for one by one as they come into sight, and brushed. Each bar is a link anyway.
(function () {
  "use strict";
  var all = Array.prototype.slice.call(document.querySelectorAll("[data-head]"));
  if (!all.length) { return; }
  var store = window.sessionStorage;
  var seen = [];
  var asking = null;   // the head that is asked for, and what ends that
  var rows = null;     // what ends the question for rows
  var turn = 0;        // answers of an earlier one are dropped
  var where = null;    // the address that is shown while a brush moves, else the page's own

  var key = function (head) { return head.getAttribute("data-key"); };
  var address = function (head) {
    var url = new URL(head.getAttribute("data-head"), location.href);
    if (where) {  // the same head of the view that the brush makes
      var other = new URL(where, location.href);
      ["column", "show", "of"].forEach(function (name) { if (url.searchParams.has(name)) { other.searchParams.set(name, url.searchParams.get(name)); } });
      other.pathname = url.pathname;
      url = other;
    }
    return url.href;
  };

  function put(head, html) {
    head.innerHTML = html;
    var links = Array.prototype.slice.call(head.querySelectorAll("svg a"));
    links.forEach(function (link, place) { link.setAttribute("tabindex", place ? "-1" : "0"); });  // arrows lead to the others
  }

  function mark(head, stale) {
    head.classList.toggle("stale", stale);
    head.inert = stale;  // its links lead to filters of the state before
  }

  function stale(except) {
    all.forEach(function (head) { if (head !== except) { mark(head, true); } });
  }

  function next() {
    if (asking) { return; }
    var head = seen.find(function (each) { return each.classList.contains("stale"); });
    if (!head) { return; }
    var mine = turn;
    asking = new AbortController();
    fetch(address(head), { signal: asking.signal }).then(function (answer) {
      return answer.text().then(function (text) { return answer.ok ? text : ""; });
    }).then(function (text) {
      if (mine !== turn) { return; }
      put(head, text);
      mark(head, false);
      asking = null;
      next();
    }).catch(function () {});  // another state is asked for, or the server has ended
  }

  function drop() {
    turn += 1;
    if (asking) { asking.abort(); asking = null; }
    if (rows) { rows.abort(); rows = null; }
  }

  var watch = new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) {
      seen = seen.filter(function (head) { return head !== entry.target; });
      if (entry.isIntersecting) { seen.push(entry.target); }
    });
    seen.sort(function (one, other) { return all.indexOf(one) - all.indexOf(other); });
    next();
  });

  // What was shown before stays in sight, as stale, until each head is answered anew.
  function begin(held) {
    all.forEach(function (head) {
      if (head.firstElementChild) { put(head, head.innerHTML); return; }  // it came with the page
      mark(head, true);
      if (held[key(head)]) { put(head, held[key(head)]); }
    });
    all.forEach(function (head) { watch.observe(head); });
  }
  function shown() {
    var heads = {};
    all.forEach(function (head) { if (head.firstElementChild) { heads[key(head)] = head.innerHTML; } });
    return heads;
  }

  var before = {};
  try { before = JSON.parse(store.getItem("heads") || "{}"); } catch (error) { before = {}; }
  var path = new URLSearchParams(location.search).getAll("t").join(" ");
  if (before.path !== path) { before = { heads: {} }; }
  store.removeItem("heads");
  all.sort(function (one, other) { return (key(other) === before.touched) - (key(one) === before.touched); });
  begin(before.heads);
  if (before.top) { window.scrollTo(0, before.top); }

  document.addEventListener("come", function () {  // another epoch took the place of the table
    var held = shown();
    drop();
    where = null;
    watch.disconnect();
    seen = [];
    all = Array.prototype.slice.call(document.querySelectorAll("[data-head]"));
    begin(held);
  });

  function keep(touched) {
    try {
      store.setItem("heads", JSON.stringify({ path: path, touched: touched ? key(touched) : null, top: touched ? window.scrollY : 0, heads: shown() }));
    } catch (error) { return; }  // too much to keep: the heads come anew
  }
  window.addEventListener("pagehide", function () { if (!store.getItem("heads")) { keep(null); } });
  document.addEventListener("click", function (event) {
    var head = event.target.closest && event.target.closest("[data-head]");
    if (head) { keep(head); }
  });

  // The rows of the view that the brush makes, while it moves.
  function show(url, head) {
    drop();
    var mine = turn;
    where = url;
    stale(head);
    rows = new AbortController();
    fetch(url, { signal: rows.signal }).then(function (answer) { return answer.text(); }).then(function (text) {
      if (mine !== turn) { return; }
      rows = null;
      var fresh = new DOMParser().parseFromString(text, "text/html");
      ["tbody", ".status > .nowrap"].forEach(function (part) {
        var now = document.querySelectorAll("section " + part);
        Array.prototype.forEach.call(fresh.querySelectorAll("section " + part), function (other, place) {
          if (now[place]) { now[place].replaceWith(document.importNode(other, true)); }
        });
      });
      next();
    }).catch(function () {});
  }

  function brush(svg) {
    var edges = svg.getAttribute("data-edges").split(" ");
    var bins = edges.length - 1;
    return {
      place: function (x) {
        var box = svg.getBoundingClientRect();
        return Math.max(0, Math.min(bins - 1, Math.floor((x - box.left) / box.width * bins)));
      },
      url: function (one, other) {
        var low = Math.min(one, other), high = Math.max(one, other) + 1, name = svg.getAttribute("data-name");
        var text = name + " >= " + edges[low] + " AND " + name + (high === bins ? " <= " : " < ") + edges[high];
        return svg.getAttribute("data-base") + "&" + new URLSearchParams([["where", text]]);
      },
      draw: function (one, other) {
        var low = Math.min(one, other), high = Math.max(one, other) + 1, wide = svg.width.baseVal.value;
        var rect = svg.querySelector(".brush") || svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "rect"));
        rect.setAttribute("class", "brush");
        rect.setAttribute("x", low / bins * wide);
        rect.setAttribute("width", (high - low) / bins * wide);
        rect.setAttribute("y", 0);
        rect.setAttribute("height", svg.height.baseVal.value - 1);
      }
    };
  }

  var drag = null;
  document.addEventListener("pointerdown", function (event) {
    var svg = event.target.closest && event.target.closest("svg[data-brush]");
    if (!svg || event.button) { return; }
    drag = { svg: svg, by: brush(svg), from: event.clientX, last: -1, moved: false, id: event.pointerId };
    drag.start = drag.by.place(event.clientX);
  });
  document.addEventListener("dragstart", function (event) { if (drag) { event.preventDefault(); } });
  document.addEventListener("pointermove", function (event) {
    if (!drag || event.pointerId !== drag.id || (!drag.moved && Math.abs(event.clientX - drag.from) < 4)) { return; }
    drag.moved = true;
    var place = drag.by.place(event.clientX);
    if (place === drag.last) { return; }
    drag.last = place;
    drag.by.draw(drag.start, place);
    show(drag.by.url(drag.start, place), drag.svg.closest("[data-head]"));
  });
  function release(event) {
    if (!drag || event.pointerId !== drag.id) { return; }
    var done = drag;
    drag = null;
    if (!done.moved) { return; }
    if (event.type === "pointercancel") { location.reload(); return; }
    keep(done.svg.closest("[data-head]"));
    var swallow = function (click) { click.preventDefault(); click.stopPropagation(); };
    window.addEventListener("click", swallow, { capture: true, once: true });
    window.setTimeout(function () { window.removeEventListener("click", swallow, true); }, 50);
    location.assign(done.by.url(done.start, done.last));
  }
  document.addEventListener("pointerup", release);
  document.addEventListener("pointercancel", release);

  // By keys: arrows lead from bar to bar, with Shift they brush, Enter keeps it.
  document.addEventListener("keydown", function (event) {
    var link = document.activeElement, svg = link && link.closest && link.closest("svg[data-brush]");
    var by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!svg || (!by && event.key !== "Enter" && event.key !== "Escape")) { return; }
    var links = Array.prototype.slice.call(svg.querySelectorAll("a"));
    var place = links.indexOf(link), head = svg.closest("[data-head]");
    if (by) {
      event.preventDefault();
      event.stopImmediatePropagation();
      var to = Math.max(0, Math.min(links.length - 1, place + by));
      links[place].setAttribute("tabindex", "-1");
      links[to].setAttribute("tabindex", "0");
      links[to].focus();
      if (!event.shiftKey) { return; }
      if (!svg.hasAttribute("data-from")) { svg.setAttribute("data-from", place); }
      var from = Number(svg.getAttribute("data-from"));
      brush(svg).draw(from, to);
      show(brush(svg).url(from, to), head);
    } else if (svg.hasAttribute("data-from")) {
      event.preventDefault();
      if (event.key === "Escape") { location.reload(); return; }
      keep(head);
      location.assign(brush(svg).url(Number(svg.getAttribute("data-from")), place));
    }
  }, true);
})();
