"""A style transfer in the background, which can be changed while it runs. ``dashboard.StylePanel`` shows it."""

from labutils import features as vgg_features
from labutils.base.background import Background
from labutils.losses import weight
from labutils.pictures import as_picture, keep_colours, match_colours, resize, to_uint8
from labutils.style import CONTENT_LAYER, StyleTransfer

COLOURS = ("style", "luminance", "matched")
FORM = ("photograph", "painting", "content_layer", "pooling", "colours", "size", "optimizer")


class StyleRun(Background):
    """Run ``StyleTransfer`` in a daemon thread; like any ``Background`` it can pause, stop and be waited for.

    ``photograph``, ``painting``: pictures (see ``pictures.as_picture``).
    ``features``: the VGG features, by default ``features.vgg()``.
    ``steps``: iterations of a start, 60 by default.
    ``optimizer``: ``"lbfgs"`` (default) or ``"adam"``.
    ``size``: both pictures' shorter side in pixels; ``None`` (default) keeps each picture's own.
    ``colours``: ``"style"`` (default) for the painting's colours, ``"luminance"`` for the photograph's colours
    with the result's luminance, ``"matched"`` to give the painting the photograph's colour statistics first.
    ``settings``: passed to ``StyleTransfer``.

    ``.notes`` lists (iteration, text) of every change. Raises what ``StyleTransfer`` raises.
    """

    WORK, UNIT, BUSY = "painting", "iteration", "running"

    def __init__(
        self, photograph, painting, features=None, steps=60, optimizer="lbfgs", size=None, colours="style", **settings
    ):
        super().__init__()
        features = vgg_features.vgg() if features is None else features
        self.steps, self.settings = steps, settings
        self.form = dict(photograph=photograph, painting=painting, pooling=features.pooling, colours=colours)
        self.form.update(size=size, optimizer=optimizer, content_layer=settings.pop("content_layer", CONTENT_LAYER))
        self.history, self.notes, self.step, self.target, self._pending = [], [], 0, 0, {}
        self._check(self.form)
        self.transfer = self._build(self.form, features, settings.pop("start", "content"))
        self.weights = self._values()

    def _check(self, form):
        if unknown := set(form) - set(FORM):
            raise ValueError(f"Unknown setting {', '.join(sorted(unknown))}: choose among {', '.join(FORM)}.")
        if form.get("colours", "style") not in COLOURS:
            raise ValueError(f"Unknown colours {form['colours']!r}: choose one of {', '.join(COLOURS)}.")

    def _build(self, form, features, start, **weights):
        content, style = form["photograph"], form["painting"]
        if form["size"]:
            content, style = resize(content, form["size"]), resize(style, form["size"])
        content = to_uint8(as_picture(content, "content picture"))
        if form["colours"] == "matched":
            style = match_colours(style, content)
        if not isinstance(start, str):
            start = resize(start, content.shape[:2])
        settings = {**self.settings, **weights, "content_layer": form["content_layer"]}
        return StyleTransfer(
            content, style, vgg_features.with_pooling(features, form["pooling"]), start=start, **settings
        )

    def _values(self):
        weights = self.transfer.weights
        named = {"content": weights.content, "style": weights.style, "variation": weights.variation, **weights.layers}
        return {name: float(variable.numpy()) for name, variable in named.items()}

    @property
    def features(self):
        return self.transfer.features

    @property
    def content(self):
        """The photograph at the size that is painted, uint8 (height, width, 3)."""
        return to_uint8(self.transfer.pictures[0])

    @property
    def image(self):
        """The picture so far, uint8 (height, width, 3), in the chosen colours."""
        transfer = self.transfer  # another thread may replace it
        luminance = self.form["colours"] == "luminance"
        return keep_colours(transfer.image, to_uint8(transfer.pictures[0])) if luminance else transfer.image

    # What may be changed while it runs

    def set_weight(self, name, value):
        """Set the weight ``name``: ``"content"``, ``"style"``, ``"variation"`` or a style layer.

        It acts from the next evaluation. Raises ``ValueError`` for an unknown name or a value that is not a number ≥ 0.
        """
        if name not in self.weights:
            raise ValueError(f"There is no weight {name!r}: choose one of {', '.join(self.weights)}.")
        value = weight(f"The {name} weight", value)
        with self._news:
            before, self.weights[name] = self.weights[name], value
            self._weigh(name)
        if before != value:
            self._note(f"{name} weight {before:g} → {value:g}")

    def _weigh(self, name):
        weights = self.transfer.weights
        (weights.layers[name] if name in weights.layers else getattr(weights, name)).assign(self.weights[name])

    def chosen(self, key):
        """Return the setting ``key`` of ``FORM``, or its pending new value."""
        return self._pending.get(key, self.form[key])

    def change(self, **form):
        """Change any of ``FORM``. The run continues from the current picture, or from a new photograph.

        Raises ``ValueError`` for an invalid setting. A running run reports later errors in ``.notes`` instead.
        """
        self._check(form)
        with self._news:
            self._pending.update(form)
            self._news.notify_all()
            if self.running:
                return
        self._settle()
        self._apply_pending()

    def _note(self, text):
        memory = self.running and self.form["optimizer"] == "lbfgs"
        self.notes.append((self.step, text + ("; L-BFGS restarts with an empty memory" if memory else "")))

    def _apply_pending(self):
        with self._news:
            changes, self._pending = self._pending, {}
        form, texts = {**self.form, **changes}, []
        for key, value in changes.items():
            if key in FORM[:2] or value != self.form[key]:
                texts.append(f"{key} is now {value}" if key not in FORM[:2] else f"new {key}")
        if set(changes) != {"optimizer"}:
            weights = {f"{name}_weight": self.weights[name] for name in ("content", "style", "variation")}
            layers = {name: self.weights[name] for name in self.transfer.weights.layers}
            start = "content" if "photograph" in changes else self.transfer.image
            transfer = self._build(form, self.features, start, **weights, layer_weights=layers)
            with self._news:
                self.transfer = transfer
                for name in self.weights:  # a weight may have changed in the meantime
                    self._weigh(name)
        self.form = form
        if texts:
            self._note(", ".join(texts))

    def start(self, steps=None):
        """Run ``steps`` more iterations in the background, or to the planned end. Resume if paused."""
        if self.running:
            self.resume()
            return
        self._settle()
        if steps or self.step >= self.target:  # otherwise it was stopped early
            self.target = self.step + (steps or self.steps)
        self._begin(self._paint)

    # What the painting thread does

    def _paint(self):
        while self.step < self.target and not self._stopping:
            began = self.step
            self.transfer.run(self.target - self.step, self.form["optimizer"], self._watch)
            if self.step == began and not self._pass():
                break  # converged, and nothing was changed
        return "stopped" if self._stopping else "finished"

    def _watch(self, _, image, losses):
        self.step += 1
        self.history.append((self.step, losses))
        if self._pass():
            raise StopIteration

    def _asked(self):
        return self._pending

    def _serve(self):
        try:
            self._apply_pending()
        except Exception as error:
            self.notes.append((self.step, f"not changed: {error}"))
