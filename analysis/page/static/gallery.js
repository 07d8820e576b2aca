// A gallery: arrows go from image to image, x or Space marks one, with Shift all between; marks stay while one turns pages.
(function () {
  "use strict";
  var form = document.querySelector("form[data-marks]");
  if (!form) { return; }
  var store = window.sessionStorage, name = "marks " + form.getAttribute("data-marks");
  var tiles = Array.prototype.slice.call(form.querySelectorAll(".tile"));
  var box = function (tile) { return tile.querySelector("input[type=checkbox]"); };
  var boxes = tiles.map(box).filter(Boolean);
  var here = -1, last = -1;

  var marks = [];
  try { marks = JSON.parse(store.getItem(name) || "[]"); } catch (error) { marks = []; }
  boxes.forEach(function (each) { if (marks.indexOf(each.value) >= 0) { each.checked = true; } });

  function keep() {
    var own = {};
    boxes.forEach(function (each) { own[each.value] = each.checked; });
    marks = marks.filter(function (mark) { return own[mark] !== false; });
    boxes.forEach(function (each) { if (each.checked && marks.indexOf(each.value) < 0) { marks.push(each.value); } });
    try { store.setItem(name, JSON.stringify(marks)); } catch (error) { return; }
    form.querySelector("[data-count]").textContent = marks.length + " marked:";
  }

  function set(from, to, value) {
    tiles.slice(Math.min(from, to), Math.max(from, to) + 1).map(box).filter(Boolean).forEach(function (each) { each.checked = value; });
    keep();
  }

  function go(place) {
    here = Math.max(0, Math.min(tiles.length - 1, place));
    tiles[here].querySelector("a").focus();
  }

  // How many images there are in a line, only the browser knows.
  function across() {
    var top = tiles[0] && tiles[0].offsetTop;
    var many = tiles.findIndex(function (tile) { return tile.offsetTop !== top; });
    return many < 0 ? tiles.length : many;
  }

  form.addEventListener("focusin", function (event) {
    var tile = event.target.closest(".tile");
    if (tile) { here = tiles.indexOf(tile); }
  });
  form.addEventListener("click", function (event) {
    if (event.target.type !== "checkbox") { return; }
    var place = tiles.indexOf(event.target.closest(".tile"));
    if (event.shiftKey && last >= 0) { set(last, place, event.target.checked); }
    last = place;
    keep();
  });
  form.addEventListener("submit", function () {  // those of other pages go along
    boxes.forEach(function (each) { marks = marks.filter(function (mark) { return mark !== each.value; }); });
    marks.forEach(function (mark) {
      var field = document.createElement("input");
      field.type = "hidden";
      field.name = "mark";
      field.value = mark;
      field.className = "marked";
      form.appendChild(field);
    });
    window.setTimeout(function () {  // a file leaves the page where it is
      Array.prototype.forEach.call(form.querySelectorAll(".marked"), function (field) { field.remove(); });
      keep();
      try { marks = JSON.parse(store.getItem(name) || "[]"); } catch (error) { marks = []; }
    }, 0);
  });

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !tiles.length || /^(TEXTAREA|SELECT)$/.test(event.target.tagName)) { return; }
    if (event.target.tagName === "INPUT" && event.target.type !== "checkbox") { return; }
    var by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across(), ArrowUp: -across(), j: 1, k: -1 }[event.key];
    if (by) {
      event.preventDefault();
      event.stopImmediatePropagation();
      go(here < 0 ? 0 : here + by);
    } else if ((event.key === "x" || event.key === "X" || (event.key === " " && event.target.closest(".tile a"))) && here >= 0 && box(tiles[here])) {
      event.preventDefault();
      var value = !box(tiles[here]).checked;
      set(event.shiftKey && last >= 0 ? last : here, here, value);
      last = here;
    }
  }, true);

  [["[data-every]", true], ["[data-none]", false]].forEach(function (pair) {
    var button = form.querySelector(pair[0]);
    button.hidden = false;
    button.addEventListener("click", function () {
      if (!pair[1]) { marks = []; }
      set(0, tiles.length - 1, pair[1]);
    });
  });
  keep();
})();
