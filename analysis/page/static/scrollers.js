// What scrolls sideways begins where one looks for something: at the column that was sorted by, or that is new.
(function () {
  "use strict";
  var tables = new URLSearchParams(location.search).getAll("t").join("&");

  // The head of a column that was not there when these tables were looked at before.
  function added(scroller, place) {
    var key = "heads " + location.pathname + " " + place + " " + tables;
    var heads = Array.prototype.slice.call(scroller.querySelectorAll("thead th"));
    var names = heads.map(function (head) { return head.title || head.textContent; });
    var before = JSON.parse(sessionStorage.getItem(key) || "null");
    sessionStorage.setItem(key, JSON.stringify(names));
    return before && heads.find(function (head, at) { return before.indexOf(names[at]) < 0; });
  }

  function brought(scroller, place) {
    var head = added(scroller, place) || scroller.querySelector("thead th[aria-sort]");
    if (!head) { return; }
    var first = scroller.querySelector("thead th");
    var room = scroller.getBoundingClientRect(), there = head.getBoundingClientRect();
    var left = first === head ? room.left : first.getBoundingClientRect().right;  // the first column stays in sight
    if (there.left < left || there.right > room.right) {
      scroller.scrollLeft += there.left - left - (room.right - left - there.width) / 2;
    }
  }

  Array.prototype.forEach.call(document.querySelectorAll(".scroll"), brought);
})();
