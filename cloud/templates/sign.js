// Lets a signer draw. What is sent are lines of points, in thousandths of the field's width and height; without this
// script the field stays hidden and the typed name is the signature.
"use strict";
(() => {
  const POINTS_MAX = 5000;
  const field = document.getElementById("draw");
  const canvas = document.getElementById("canvas");
  const drawn = document.getElementById("drawn");
  const clear = document.getElementById("clear");
  if (!field || !canvas || !drawn || !clear) return;
  field.hidden = false;
  const pen = canvas.getContext("2d");
  let strokes = [];
  let stroke = null;
  let points = 0;

  const redraw = () => {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.lineWidth = 3;
    pen.lineCap = "round";
    pen.lineJoin = "round";
    pen.strokeStyle = getComputedStyle(canvas).color;
    for (const line of strokes) {
      pen.beginPath();
      line.forEach(([x, y], index) => {
        const at = [(x / 1000) * canvas.width, (y / 1000) * canvas.height];
        if (index === 0) pen.moveTo(...at);
        pen.lineTo(...at);
      });
      pen.stroke();
    }
    drawn.value = strokes.length > 0 ? JSON.stringify(strokes) : "";
  };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const share = (part, whole) => Math.min(1000, Math.max(0, Math.round((part / whole) * 1000)));
    return [share(event.clientX - box.left, box.width), share(event.clientY - box.top, box.height)];
  };
  canvas.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    stroke = [place(event)];
    strokes.push(stroke);
    points += 1;
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || points >= POINTS_MAX) return;
    const next = place(event);
    const last = stroke[stroke.length - 1];
    if (Math.abs(next[0] - last[0]) + Math.abs(next[1] - last[1]) < 4) return;
    stroke.push(next);
    points += 1;
    redraw();
  });
  const end = () => { stroke = null; };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  clear.addEventListener("click", () => {
    strokes = [];
    points = 0;
    redraw();
  });
})();
