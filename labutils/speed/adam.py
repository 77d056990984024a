"""Adam with one kernel per variable."""

import tensorflow as tf


class Adam(tf.keras.optimizers.Adam):
    """Keras' Adam with one fused TensorFlow kernel per update, which halves the graph of a training step.

    Arguments, variables and numbers as in ``tf.keras.optimizers.Adam`` (up to rounding), without ``amsgrad``, weight
    decay, clipping and sparse gradients. Paper: Kingma and Ba 2014, "Adam: A Method for Stochastic Optimization".
    """

    def apply_gradients(self, grads_and_vars):
        """Apply one step to pairs of gradient and variable. Values shared by all variables are computed once."""
        gradients, variables = zip(*grads_and_vars, strict=True)
        with tf.init_scope():
            self.build(list(variables))  # does nothing if already built
        if hasattr(self, "_compute_current_learning_rate"):  # Keras 2
            self._compute_current_learning_rate()
            index = [self._index_dict[self._var_key(variable)] for variable in variables]
        else:
            index = [self._get_variable_index(variable) for variable in variables]
        step, rate = tf.cast(self.iterations + 1, tf.float32), tf.cast(self.learning_rate, tf.float32)
        powers = {"beta1_power": self.beta_1**step, "beta2_power": self.beta_2**step}
        for i, gradient, variable in zip(index, gradients, variables, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=_handle(variable),
                m=_handle(self._momentums[i]),
                v=_handle(self._velocities[i]),
                lr=rate,
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon,
                grad=gradient,
                **powers,
            )
        self.iterations.assign_add(1)


def _handle(variable):
    """Return the handle of a TensorFlow variable, or of one wrapped by Keras 3."""
    return (variable if isinstance(variable, tf.Variable) else variable.value).handle
