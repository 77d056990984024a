"""A style transfer in the background, to be steered while it runs: what ``dashboard.StylePanel`` shows."""

import threading

from labutils import features as vgg_features
from labutils.pictures import as_picture, keep_colours, match_colours, resize, to_uint8
from labutils.style import StyleTransfer

COLOURS = ("style", "luminance", "matched")
FORM = ("photograph", "painting", "content_layer", "pooling", "colours", "size", "optimizer")


class StyleRun:
    """``StyleTransfer`` in a daemon thread.

    ``photograph`` and ``painting``: pictures (see ``pictures.as_picture``); ``size``: both pictures' shorter
    side in pixels, ``None`` for their own. ``colours``: ``"style"``, the painting's; ``"luminance"``, the
    photograph's colours under the result's luminance; ``"matched"``, the painting takes the photograph's
    colour statistics first. ``settings`` go to ``StyleTransfer``. Functions in ``.watchers`` are called in
    the thread after every iteration. Raises what ``StyleTransfer`` raises.
    """

    def __init__(
        self, photograph, painting, features=None, steps=60, optimizer="lbfgs", size=None, colours="style", **settings
    ):
        features = vgg_features.vgg() if features is None else features
        self.features, self.steps, self.settings = features, steps, settings
        self.form = dict(photograph=photograph, painting=painting, pooling=features.pooling, colours=colours)
        self.form.update(size=size, optimizer=optimizer, content_layer=settings.pop("content_layer", "block4_conv2"))
        self.history, self.notes, self.watchers = [], [], []
        self.state, self.error, self.step, self.target = "ready", None, 0, 0
        self._thread, self._going, self._stopping, self._pending = None, threading.Event(), False, {}
        self._check(self.form)
        self.transfer = self._build(settings.pop("start", "content"))
        self.weights = self._values()

    def _check(self, form):
        if unknown := set(form) - set(FORM):
            raise ValueError(f"Unknown setting {', '.join(sorted(unknown))}: choose among {', '.join(FORM)}.")
        if form.get("colours", "style") not in COLOURS:
            raise ValueError(f"Unknown colours {form['colours']!r}: choose one of {', '.join(COLOURS)}.")

    def _build(self, start, **weights):
        form = self.form
        content, style = form["photograph"], form["painting"]
        if form["size"]:
            content, style = resize(content, form["size"]), resize(style, form["size"])
        self.content = to_uint8(as_picture(content, "content picture"))
        if form["colours"] == "matched":
            style = match_colours(style, self.content)
        if not isinstance(start, str):
            start = resize(start, self.content.shape[:2])
        self.features = vgg_features.with_pooling(self.features, form["pooling"])
        settings = {**self.settings, **weights, "content_layer": form["content_layer"]}
        return StyleTransfer(self.content, style, self.features, start=start, **settings)

    def _values(self):
        weights = self.transfer.weights
        named = {"content": weights.content, "style": weights.style, "variation": weights.variation, **weights.layers}
        return {name: float(variable.numpy()) for name, variable in named.items()}

    @property
    def image(self):
        """The picture so far, uint8 (height, width, 3), in the colours wished for."""
        picture = self.transfer.image
        return keep_colours(picture, self.content) if self.form["colours"] == "luminance" else picture

    @property
    def running(self):
        return self._thread is not None and self._thread.is_alive()

    # What may be changed while it runs

    def set_weight(self, name, value):
        """``name``: ``"content"``, ``"style"``, ``"variation"`` or a style layer; acts at the next evaluation."""
        if name not in self.weights:
            raise ValueError(f"There is no weight {name!r}: choose one of {', '.join(self.weights)}.")
        before, self.weights[name] = self.weights[name], float(value)
        if before == self.weights[name]:
            return
        weights = self.transfer.weights
        (weights.layers[name] if name in weights.layers else getattr(weights, name)).assign(value)
        self._note(f"{name} weight {before:g} → {value:g}")

    def change(self, **form):
        """Change any of ``FORM``; the picture so far is kept and goes on under the new settings.

        Raises ``ValueError`` for what cannot be; where the run is going on, its ``.notes`` say so instead.
        """
        self._check(form)
        self._pending.update(form)
        if not self.running:
            self._apply_pending()

    def _note(self, text):
        memory = self.running and self.form["optimizer"] == "lbfgs"
        self.notes.append((self.step, text + ("; L-BFGS restarts with an empty memory" if memory else "")))

    def _apply_pending(self):
        form, self._pending = self._pending, {}
        texts = [f"{key} is now {value}" if key not in FORM[:2] else f"new {key}" for key, value in form.items()]
        old, self.form = self.form, {**self.form, **form}
        try:
            if set(form) != {"optimizer"}:
                self._rebuild("content" if "photograph" in form else self.transfer.image)
        except Exception:
            self.form = old
            raise
        self._note(", ".join(texts))

    def _rebuild(self, start):
        weights = {f"{name}_weight": self.weights[name] for name in ("content", "style", "variation")}
        layers = {name: self.weights[name] for name in self.transfer.weights.layers}
        self.transfer = self._build(start, **weights, layer_weights=layers)

    # Start, pause, stop, wait

    def start(self, steps=None):
        """Go on in the background: ``steps`` more iterations, or to the end of the plan; if paused, resume."""
        self._going.set()
        if self.running:
            self.state = "running"
            return
        if steps or self.step >= self.target:  # else it was stopped on its way
            self.target = self.step + (steps or self.steps)
        self.error, self._stopping = None, False
        self.state = "building the graph"
        self._thread = threading.Thread(target=self._work, name="style transfer", daemon=True)
        self._thread.start()

    def pause(self):
        """Hold after the present iteration."""
        if self.running:
            self._going.clear()
            self.state = "paused"

    def stop(self):
        """End after the present iteration; the picture is kept."""
        self._stopping = True
        self._going.set()

    def wait(self, timeout=None):
        """Until the run has ended (or ``timeout`` seconds have passed); raises what ended it early."""
        if self._thread:
            self._thread.join(timeout)
        if self.error:
            raise self.error
        return self

    def _work(self):
        try:
            while self.step < self.target and not self._stopping:
                if self._pending:
                    self._try_pending()
                began, steps = self.step, self.target - self.step
                self.transfer.run(steps, self.form["optimizer"], self._watch)
                if self.step == began and not self._pending:
                    break  # converged
            self.state = "stopped" if self._stopping else "finished"
        except Exception as error:
            self.error, self.state = error, f"ended by an error: {error}"
        self._tell()

    def _try_pending(self):
        try:
            self._apply_pending()
        except ValueError as error:
            self.notes.append((self.step, f"not changed: {error}"))

    def _watch(self, _, image, losses):
        self.step += 1
        self.history.append((self.step, losses))
        if self._going.is_set():
            self.state = "running"
        self._tell()
        self._going.wait()
        if self._stopping or self._pending:
            raise StopIteration

    def _tell(self):
        for watcher in self.watchers:
            watcher()
