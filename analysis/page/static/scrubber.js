// Dragging the slider through the epochs: the page's frames change while one drags, the address when one lets go. One
// request is out at a time; the next epochs are asked for ahead, and dropped when another is wanted first.
(function () {
  "use strict";
  var MOST = 60;  // frames that are kept
  var AHEAD = 3;
  var form = document.querySelector("form.slider");
  if (!form) { return; }
  var slider = form.querySelector("input[type=range]");
  var frames = new Map();  // what the server said: {text, url} by the address that was asked
  var out = null;  // the request that is out: {address, ahead, abort}
  var shown = form.hasAttribute("data-holds") ? address(slider.value) : null;
  var wanted = shown, value = slider.value, way = 1;
  var settled = false;  // whether one has let go, so that the address is to follow

  function address(place) {
    var fields = new URLSearchParams(new FormData(form));
    fields.set(slider.name, place);
    return form.getAttribute("action") + "?" + fields;
  }

  function ask(what, ahead) {
    if (out && (out.address === what || !out.ahead)) { return; }  // what was wanted is shown when it comes
    if (out) { out.abort.abort(); }
    var mine = out = { address: what, ahead: ahead, abort: new AbortController() };
    fetch(what, { signal: mine.abort.signal }).then(function (answer) {
      if (!answer.ok) { throw new Error("no such frame"); }
      return answer.text().then(function (text) { return { text: text, url: answer.url }; });
    }).then(function (frame) {
      if (out !== mine) { return; }
      out = null;
      frames.set(what, frame);
      if (frames.size > MOST) { frames.delete(frames.keys().next().value); }
      if (!mine.ahead) { show(what); }
      next();
    }).catch(function () {
      if (out !== mine) { return; }
      out = null;
      if (!mine.ahead && settled) { form.submit(); }  // the server says what is wrong
      else if (!mine.ahead && wanted !== what) { next(); }
    });
  }

  function next() {
    if (wanted !== shown) {
      if (!frames.has(wanted)) { ask(wanted, false); return; }
      show(wanted);
    }
    if (settled) {
      settled = false;
      var there = frames.get(shown);
      if (there && there.url !== location.href) { history.pushState({}, "", there.url); }
    }
    for (var far = 1; far <= AHEAD; far++) {
      var place = Number(value) + way * far;
      if (place < Number(slider.min) || place > Number(slider.max)) { return; }
      if (!frames.has(address(place))) { ask(address(place), true); return; }
    }
  }

  function show(what) {
    var fresh = new DOMParser().parseFromString(frames.get(what).text, "text/html");
    shown = what;
    document.title = fresh.title;
    Array.prototype.forEach.call(document.querySelectorAll("[data-frame]"), function (old) {
      var come = fresh.querySelector('[data-frame="' + old.getAttribute("data-frame") + '"]');
      if (come) { put(old, document.importNode(come, true)); }
    });
  }

  // Where one has scrolled to, what is open and the row one is at stay; so does the focus, in the same place.
  function put(old, come) {
    var scrolled = states(old, ".scroll", function (part) { return [part.scrollLeft, part.scrollTop]; });
    var open = states(old, "details", function (part) { return part.open; });
    var here = states(old, "tbody tr", function (part) { return part.classList.contains("here"); });
    var focused = old.contains(document.activeElement) ? document.activeElement : null;
    var place = focused ? Array.prototype.indexOf.call(old.querySelectorAll(focused.tagName), focused) : -1;
    old.replaceWith(come);
    come.dispatchEvent(new Event("come", { bubbles: true }));
    again(come, ".scroll", scrolled, function (part, at) { part.scrollLeft = at[0]; part.scrollTop = at[1]; });
    again(come, "details", open, function (part, was) { part.open = was; });
    again(come, "tbody tr", here, function (part, was) { part.classList.toggle("here", was); });
    var same = focused && come.querySelectorAll(focused.tagName)[place];
    if (same) { same.focus({ preventScroll: true }); }
  }
  function states(part, selector, of) { return Array.prototype.map.call(part.querySelectorAll(selector), of); }
  function again(part, selector, known, put) {
    Array.prototype.forEach.call(part.querySelectorAll(selector), function (each, at) {
      if (at < known.length) { put(each, known[at]); }
    });
  }

  function want() {
    if (slider.value !== value) { way = Number(slider.value) < Number(value) ? -1 : 1; }
    value = slider.value;
    wanted = address(value);
    next();
  }

  slider.addEventListener("input", want);
  form.addEventListener("submit", function (event) {
    if (event.submitter) { return; }  // its button opens the page anew
    event.preventDefault();
    form.setAttribute("data-holds", "");
    settled = true;
    want();
  });
  window.addEventListener("popstate", function () { location.reload(); });
})();
