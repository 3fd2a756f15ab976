"""The C functions that steps call; a header holds those that its network needs.

NAME stands for the name of the export.
"""

DENSE = """
static inline void NAME_dense(const float *x, const float *weight, const float *bias, int inputs,
                              int outputs, float *y) {
    for (int o = 0; o < outputs; ++o) {
        const float *row = weight + (size_t)o * (size_t)inputs;
        /* four sums, so that additions need not wait for each other */
        float sum0 = bias[o], sum1 = 0.0f, sum2 = 0.0f, sum3 = 0.0f;
        int i = 0;
        for (; i + 3 < inputs; i += 4) {
            sum0 += row[i] * x[i];
            sum1 += row[i + 1] * x[i + 1];
            sum2 += row[i + 2] * x[i + 2];
            sum3 += row[i + 3] * x[i + 3];
        }
        for (; i < inputs; ++i) {
            sum0 += row[i] * x[i];
        }
        y[o] = (sum0 + sum1) + (sum2 + sum3);
    }
}
"""
QUANTISE = """
static inline void NAME_quantise(const float *x, float inverse_scale, float limit, int size,
                                 int16_t *q) {
    for (int i = 0; i < size; ++i) {
        float v = x[i] * inverse_scale;
        v = v > limit ? limit : v < -limit ? -limit : v;
        q[i] = (int16_t)(v < 0.0f ? v - 0.5f : v + 0.5f);
    }
}
"""
DENSE_INT8 = """
static inline void NAME_dense(const int16_t *x, const int8_t *weight, const float *scale,
                              const float *bias, int inputs, int outputs, float *y) {
    for (int o = 0; o < outputs; ++o) {
        const int8_t *row = weight + (size_t)o * (size_t)inputs;
        int32_t sum = 0;
        for (int i = 0; i < inputs; ++i) {
            sum += (int32_t)row[i] * (int32_t)x[i];
        }
        y[o] = (float)sum * scale[o] + bias[o];
    }
}
"""
_CONV = """
static inline void NAME_conv(const INPUT *x, const WEIGHT *weight, PARAMETERS const int *shape,
                             float *y) {
    /* shape: channels, height, width; outputs, kernel height, kernel width; strides; padding */
    const int channels = shape[0], height = shape[1], width = shape[2];
    const int rows = (height + 2 * shape[8] - shape[4]) / shape[6] + 1;
    const int columns = (width + 2 * shape[9] - shape[5]) / shape[7] + 1;
    for (int o = 0; o < shape[3]; ++o) {
        for (int r = 0; r < rows; ++r) {
            for (int c = 0; c < columns; ++c) {
                const WEIGHT *w = weight + (size_t)o * (size_t)(channels * shape[4] * shape[5]);
                SUM sum = START;
                for (int k = 0; k < channels; ++k) {
                    for (int i = 0; i < shape[4]; ++i) {
                        const int at = r * shape[6] + i - shape[8];
                        for (int j = 0; j < shape[5]; ++j, ++w) {
                            const int across = c * shape[7] + j - shape[9];
                            if (at >= 0 && at < height && across >= 0 && across < width) {
                                sum += (SUM)*w * (SUM)x[(k * height + at) * width + across];
                            }
                        }
                    }
                }
                y[(o * rows + r) * columns + c] = RESULT;
            }
        }
    }
}
"""


def _conv(**words: str) -> str:
    text = _CONV
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text


CONV = _conv(
    INPUT="float",
    WEIGHT="float",
    PARAMETERS="const float *bias,",
    SUM="float",
    START="bias[o]",
    RESULT="sum",
)
CONV_INT8 = _conv(
    INPUT="int16_t",
    WEIGHT="int8_t",
    PARAMETERS="const float *scale, const float *bias,",
    SUM="int32_t",
    START="0",
    RESULT="(float)sum * scale[o] + bias[o]",
)
MAX_POOL = """
static inline void NAME_max_pool(const float *x, const int *shape, float *y) {
    /* shape: channels, height, width; kernel height, kernel width; strides; padding */
    const int height = shape[1], width = shape[2];
    const int rows = (height + 2 * shape[7] - shape[3]) / shape[5] + 1;
    const int columns = (width + 2 * shape[8] - shape[4]) / shape[6] + 1;
    for (int k = 0; k < shape[0]; ++k) {
        for (int r = 0; r < rows; ++r) {
            for (int c = 0; c < columns; ++c) {
                float largest = -INFINITY;
                for (int i = 0; i < shape[3]; ++i) {
                    const int at = r * shape[5] + i - shape[7];
                    for (int j = 0; j < shape[4]; ++j) {
                        const int across = c * shape[6] + j - shape[8];
                        if (at >= 0 && at < height && across >= 0 && across < width) {
                            const float v = x[(k * height + at) * width + across];
                            largest = v > largest ? v : largest;
                        }
                    }
                }
                y[(k * rows + r) * columns + c] = largest;
            }
        }
    }
}
"""
LAYER_NORM = """
static inline void NAME_layer_norm(float *x, const float *weight, const float *bias, float epsilon,
                                   int size, int each) {
    /* each: how many neighbours share a weight and a bias */
    float mean = 0.0f, variance = 0.0f;
    for (int i = 0; i < size; ++i) {
        mean += x[i];
    }
    mean /= (float)size;
    for (int i = 0; i < size; ++i) {
        variance += (x[i] - mean) * (x[i] - mean);
    }
    const float inverse = 1.0f / sqrtf(variance / (float)size + epsilon);
    for (int i = 0; i < size; ++i) {
        x[i] = (x[i] - mean) * inverse * weight[i / each] + bias[i / each];
    }
}
"""
IS_FINITE = """
static inline int NAME_is_finite(const float *x, int size) {
    for (int i = 0; i < size; ++i) {
        if (!(x[i] - x[i] == 0.0f)) { /* NaN and infinity; -ffast-math would remove this */
            return 0;
        }
    }
    return 1;
}
"""
SOFTMAX = """
static inline void NAME_softmax(const float *logits, int size, float *probabilities) {
    float largest = logits[0], sum = 0.0f;
    for (int i = 1; i < size; ++i) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    for (int i = 0; i < size; ++i) {
        probabilities[i] = expf(logits[i] - largest);
        sum += probabilities[i];
    }
    for (int i = 0; i < size; ++i) {
        probabilities[i] /= sum;
    }
}
"""
