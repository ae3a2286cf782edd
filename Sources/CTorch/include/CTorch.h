// The only door between Swift and libtorch.
//
// Every function that can fail returns 0 on success and another value on failure; the text of the
// last failure on this thread is then in `ctorch_last_error()`. No C++ exception leaves a function.
// A tensor that a function hands out through a `ctorch_tensor *` belongs to the caller, who frees it
// with `ctorch_tensor_free`. Arguments are never freed and, unless a comment says so, never written.
// Images are N×C×H×W; every four-dimensional result is laid out channels-last.
#ifndef CTORCH_H
#define CTORCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CTORCH_CHECKED __attribute__((warn_unused_result))

typedef struct ctorch_tensor_impl *ctorch_tensor;
/// Processes that compute together.
typedef struct ctorch_group_impl *ctorch_group;
/// Where a tensor lies and is worked on: the index of a CUDA device, or CTORCH_CPU.
typedef int ctorch_device;
#define CTORCH_CPU (-1)

typedef enum {
  CTORCH_UINT8 = 0,
  CTORCH_INT64 = 1,
  CTORCH_BFLOAT16 = 2,
  CTORCH_FLOAT32 = 3,
  CTORCH_FLOAT64 = 4,
} ctorch_dtype;

// MARK: library

/// The text of the last failure on the calling thread; valid until the next failure on it.
const char *ctorch_last_error(void);
/// The version libtorch was built as, for instance "2.13.0".
const char *ctorch_version(void);
/// The instruction set that libtorch's kernels chose, for instance "AVX512".
const char *ctorch_cpu_capability(void);
/// True if this libtorch was compiled with CUDA.
bool ctorch_has_cuda(void);
/// True if this was built with CUDA's headers; steps are not captured as graphs without.
bool ctorch_built_with_cuda(void);
/// The number of CUDA devices; 0 where libtorch has no CUDA or no device answers.
int ctorch_cuda_device_count(void);
/// Gives the 16 bytes that identify a CUDA device uniquely among all machines. Available only in builds with CUDA's
/// headers.
int ctorch_cuda_uuid(ctorch_device device, uint8_t *uuid) CTORCH_CHECKED;
/// Makes a device the one that this process works on: exact float32 products, and the same bits every time.
int ctorch_use_cuda(ctorch_device device) CTORCH_CHECKED;
/// Waits for all that was asked of a device. The processor is never waited for.
int ctorch_synchronize(ctorch_device device) CTORCH_CHECKED;
/// Gives the calling thread a stream of its own on a CUDA device, until it ends. What it asks for from now on may be
/// done at the same time as what other threads ask for. Does nothing for the processor.
int ctorch_use_own_stream(ctorch_device device) CTORCH_CHECKED;
/// The path of the libtorch library that is loaded, or "" where it cannot be told.
const char *ctorch_library_path(void);
int ctorch_threads(void);
int ctorch_set_threads(int count) CTORCH_CHECKED;
/// The number of threads that one of this library's own kernels ran on when asked to use them all.
int ctorch_kernel_threads(void);
/// Lets glibc keep freed activation-sized memory instead of returning it to the system at once.
/// Call before the first tensor is made. Returns whether the allocator took the settings.
bool ctorch_keep_freed_memory(void);
/// Tensor handles now alive.
int64_t ctorch_live_tensors(void);

// MARK: making and reading tensors

void ctorch_tensor_free(ctorch_tensor tensor);
int ctorch_zeros(ctorch_dtype dtype, const int64_t *shape, int rank, ctorch_tensor *out) CTORCH_CHECKED;
/// Normally distributed values, mean 0, drawn from a generator of its own that starts at `seed`.
int ctorch_normal(ctorch_dtype dtype, const int64_t *shape, int rank, double deviation, uint64_t seed,
                  ctorch_tensor *out) CTORCH_CHECKED;
/// Copies `bytes` (row-major) into a new tensor.
int ctorch_from_bytes(ctorch_dtype dtype, const int64_t *shape, int rank, const void *bytes, size_t count,
                      ctorch_tensor *out) CTORCH_CHECKED;
/// A tensor on memory (row-major) that `owner` keeps; it must never be written. `release(owner)` is called once, when
/// the memory is needed no more or on an error.
int ctorch_share(ctorch_dtype dtype, const int64_t *shape, int rank, const void *bytes, size_t count, void *owner,
                 void (*release)(void *owner), ctorch_tensor *out) CTORCH_CHECKED;
/// Copies the elements in row-major order to `bytes`, which has room for `count` bytes.
int ctorch_to_bytes(ctorch_tensor tensor, void *bytes, size_t count) CTORCH_CHECKED;
int ctorch_rank(ctorch_tensor tensor);
int64_t ctorch_size(ctorch_tensor tensor, int dimension);
ctorch_dtype ctorch_dtype_of(ctorch_tensor tensor);
ctorch_device ctorch_device_of(ctorch_tensor tensor);
/// Copies a tensor to another device. If it is already there, gives a new handle to the same storage.
int ctorch_to_device(ctorch_tensor tensor, ctorch_device device, ctorch_tensor *out) CTORCH_CHECKED;
/// Converts a tensor to another element type. If nothing changes, gives a new handle to the same storage.
int ctorch_convert(ctorch_tensor tensor, ctorch_dtype dtype, ctorch_tensor *out) CTORCH_CHECKED;
/// Rows `start ..< end` along dimension 0, sharing storage.
int ctorch_rows(ctorch_tensor tensor, int64_t start, int64_t end, ctorch_tensor *out) CTORCH_CHECKED;
/// Rows of dimension 0 by their indices (int64).
int ctorch_select_rows(ctorch_tensor tensor, ctorch_tensor indices, ctorch_tensor *out) CTORCH_CHECKED;
/// Column `column` of a matrix, sharing storage.
int ctorch_column(ctorch_tensor tensor, int64_t column, ctorch_tensor *out) CTORCH_CHECKED;
/// Writes `source`'s elements into `target`, of the same shape. A device is not waited for.
int ctorch_copy_into(ctorch_tensor target, ctorch_tensor source) CTORCH_CHECKED;
int ctorch_equal(ctorch_tensor a, ctorch_tensor b, bool *out) CTORCH_CHECKED;
/// True if every element is a finite number.
int ctorch_is_finite(ctorch_tensor tensor, bool *out) CTORCH_CHECKED;

// MARK: arithmetic

/// a + scale·b
int ctorch_add(ctorch_tensor a, ctorch_tensor b, double scale, ctorch_tensor *out) CTORCH_CHECKED;
/// a ← a + scale·b
int ctorch_add_into(ctorch_tensor a, ctorch_tensor b, double scale) CTORCH_CHECKED;
/// scale·a
int ctorch_scaled(ctorch_tensor a, double scale, ctorch_tensor *out) CTORCH_CHECKED;
/// A new tensor, each sample (dimension 0) times its own of `scales`.
int ctorch_scaled_samples(ctorch_tensor a, const double *scales, ctorch_tensor *out) CTORCH_CHECKED;

// MARK: layers, each with its backward

/// A convolution with a square kernel: `weight` is O×I×K×K, `bias` O. Both are converted to the input's type.
typedef struct {
  ctorch_tensor weight, bias;
  /// Along both axes.
  int stride, padding;
} ctorch_convolution;

/// Gradients of a convolution, those of the parameters in the parameters' type. What was not wanted is null.
typedef struct {
  ctorch_tensor input, weight, bias;
} ctorch_convolution_gradients;

int ctorch_conv2d(ctorch_tensor input, const ctorch_convolution *convolution, ctorch_tensor *out) CTORCH_CHECKED;
/// The backward pass of `ctorch_conv2d`; the bias is not read.
int ctorch_conv2d_backward(ctorch_tensor grad_output, ctorch_tensor input, const ctorch_convolution *convolution,
                           bool wants_input, bool wants_parameters, ctorch_convolution_gradients *out) CTORCH_CHECKED;

/// One batch normalisation: C values each, and what is added to a variance.
typedef struct {
  ctorch_tensor weight, bias, running_mean, running_var;
  double epsilon;
  /// The processes whose images together are the batch; null for this process alone. Each must make the same calls.
  ctorch_group group;
} ctorch_norm;

/// The statistics by which a normalisation runs.
typedef enum {
  /// The running statistics.
  CTORCH_RUNNING = 0,
  /// The batch's own; the running ones stay as they are.
  CTORCH_BATCH = 1,
  /// The batch's own, which also update the running ones.
  CTORCH_BATCH_UPDATING = 2,
} ctorch_statistics;

/// How a normalisation runs. `momentum` is the part of the batch's statistics in the updated running ones.
typedef struct {
  ctorch_statistics statistics;
  double momentum;
} ctorch_norm_mode;

/// A convolution's weight and bias with the normalisation by running statistics that follows it in them:
/// (weight·s, β + (bias − mean)·s), where s = γ/√(variance + epsilon) of each output channel. A null bias counts as 0.
int ctorch_fold_norm(const ctorch_convolution *convolution, const ctorch_norm *norm, ctorch_tensor *weight,
                     ctorch_tensor *bias) CTORCH_CHECKED;
/// tensor ← max(0, tensor)
int ctorch_relu_into(ctorch_tensor tensor) CTORCH_CHECKED;
/// The gradient with respect to the input of a ReLU, from that of its output and the output itself.
int ctorch_relu_backward(ctorch_tensor grad_output, ctorch_tensor output, ctorch_tensor *out) CTORCH_CHECKED;

/// The gradient with respect to the input of a normalisation, of which the normalisation's own way back may still have
/// to be gone: a·gradient + b·normed + d + skip, with a, b and d a channel each in `coefficients`, or, of a GPU's
/// kernels, sums in it from which they are computed; `skip` may be null. Where `coefficients` is null it is `gradient`,
/// and the others are null too.
typedef struct {
  ctorch_tensor gradient, normed, coefficients, skip;
} ctorch_pending;

/// Gradients of a normalisation's and a convolution's parameters, in the parameters' type.
typedef struct {
  ctorch_tensor norm_weight, norm_bias, weight, bias;
} ctorch_unit_gradients;

/// One unit of a residual function: F = scale·conv(max(0, normalised input)). A unit pads by itself, so that stride 1
/// keeps the size: `convolution.padding` is not read.
typedef struct {
  ctorch_tensor input;
  /// Channel sums of the input, as an earlier unit returned them; null where they are not known.
  ctorch_tensor input_sums;
  ctorch_norm norm;
  ctorch_norm_mode mode;
  ctorch_convolution convolution;
  double scale;
  /// The tensor that F is added to; null for none.
  ctorch_tensor skip;
  /// True if F itself is wanted beside the sum.
  bool keeps_added;
  /// True if the channel sums of the result are wanted.
  bool wants_sums;
} ctorch_unit_forward;

/// The results of a unit; each may be null.
typedef struct {
  /// F, where there was no skip or it was to be kept.
  ctorch_tensor added;
  /// skip + F
  ctorch_tensor sum;
  /// The sums that the normalisation of the result (of `sum` where there is one) begins with.
  ctorch_tensor sums;
  /// ΣF² and Σ(skip + F)² of each sample (2×N, float64), where F was kept.
  ctorch_tensor squares;
  /// As `ctorch_norm_relu` returns it; more rows may follow, for the backward pass.
  ctorch_tensor batch;
  /// max(0, normalised input), where the backward pass reads it instead of making it again.
  ctorch_tensor normed;
} ctorch_unit_results;

/// The backward pass of a unit of scale 1, from the gradient with respect to F.
typedef struct {
  ctorch_pending gradient;
  ctorch_tensor input;
  ctorch_norm norm;
  /// The forward pass's results.
  ctorch_tensor batch, normed;
  ctorch_convolution convolution;
  /// After a forward pass by running statistics, what is added to the gradient with respect to the input; or null.
  ctorch_tensor skip;
  /// After such a forward pass, a tensor whose products with that sum are wanted; or null.
  ctorch_tensor beside;
  bool wants_parameters;
} ctorch_unit_backward_pass;

typedef struct {
  /// Pending where the unit ran by the batch's statistics.
  ctorch_pending input;
  /// The gradient with respect to F that was given, where it was pending with a skip; else null.
  ctorch_tensor whole;
  /// Σ beside·input and Σ input² of each sample (2×N, float64); may be null.
  ctorch_tensor products;
  /// Null where they were not wanted; those of a normalisation by running statistics are not computed.
  ctorch_unit_gradients parameters;
} ctorch_unit_backward_results;

/// max(0, normalised input). By the batch's statistics these are returned in `batch` (2×C: mean, inverse deviation;
/// more rows may follow); else it stays null. `sums`, where not null, are the input's as `ctorch_unit` returns them.
int ctorch_norm_relu(ctorch_tensor input, ctorch_tensor sums, ctorch_norm norm, ctorch_norm_mode mode,
                     ctorch_tensor *out, ctorch_tensor *batch) CTORCH_CHECKED;
/// The way back through `ctorch_norm_relu`; `batch` is what it returned. Where that is null there are no parameter
/// gradients. `grad_output` is consumed: its elements are overwritten.
int ctorch_norm_relu_backward(ctorch_tensor grad_output, ctorch_tensor input, ctorch_norm norm, ctorch_tensor batch,
                              ctorch_tensor *grad_input, ctorch_tensor *grad_weight,
                              ctorch_tensor *grad_bias) CTORCH_CHECKED;

/// Runs a unit, in one pass over its input where there is a kernel for it.
int ctorch_unit(const ctorch_unit_forward *unit, ctorch_unit_results *out) CTORCH_CHECKED;
int ctorch_unit_backward(const ctorch_unit_backward_pass *unit, ctorch_unit_backward_results *out) CTORCH_CHECKED;
/// Converts the weights of units for a GPU's kernels, where they have changed and there are such kernels; a unit else
/// converts its own by a launch for itself.
/// - dtype: of the activations
int ctorch_prepare_filters(const ctorch_tensor *weights, int count, ctorch_dtype dtype) CTORCH_CHECKED;
/// Adds `skip` to a gradient: later, where the kernel that reads it does that by itself, else at once. Then it may
/// overwrite the pending gradient's own elements.
int ctorch_add_skip(ctorch_pending gradient, ctorch_tensor skip, ctorch_pending *out) CTORCH_CHECKED;
/// Computes a pending gradient and adds `skip` where it is not null. It may overwrite the pending gradient's own
/// elements.
int ctorch_resolve(ctorch_pending gradient, ctorch_tensor skip, ctorch_tensor *out) CTORCH_CHECKED;

/// The kernels that run here, the fastest first, and "libtorch", which is none of ours: names separated by commas.
const char *ctorch_kernel_sets(void);
/// The one that runs.
const char *ctorch_kernel_set(void);
/// Takes another one from now on, for the whole process.
int ctorch_use_kernel_set(const char *name) CTORCH_CHECKED;

/// One launch of a GPU's kernel: its name, how many blocks of how many threads, the bytes of shared memory of a block,
/// and the kernel's argument.
typedef struct {
  const char *kernel;
  uint32_t blocks[2], threads;
  size_t shared;
  const void *arguments;
} ctorch_launch;
/// Does the launch at once, and returns null; where it could not, what was wrong.
typedef const char *(*ctorch_launcher)(const ctorch_launch *launch);
/// For tests: offers one more kernel set, "emulated", by which what a GPU's kernels would do on a GPU is done by
/// `launcher` on the processor's tensors. `most_shared` is what a block can have.
void ctorch_emulate_device(ctorch_launcher launcher, size_t most_shared);
/// Compiles the kernels for GPUs of a compute capability, for which none has to be here; `size` is that of what came of
/// it.
int ctorch_compile_device_kernels(int major, int minor, size_t *size) CTORCH_CHECKED;
/// Compiles and loads them for a GPU that is here, where that has not been done, and holds them against libtorch's
/// operations there. Its error says why that GPU works by libtorch's operations alone. Of the processor: does so with
/// an emulated GPU.
int ctorch_load_device_kernels(ctorch_device device) CTORCH_CHECKED;

/// Average over windows of size×size that touch but do not overlap.
int ctorch_average_pool(ctorch_tensor input, int size, ctorch_tensor *out) CTORCH_CHECKED;
int ctorch_average_pool_backward(ctorch_tensor grad_output, ctorch_tensor input, int size,
                                 ctorch_tensor *grad_input) CTORCH_CHECKED;
int ctorch_max_pool(ctorch_tensor input, int size, int stride, int padding, ctorch_tensor *out,
                    ctorch_tensor *indices) CTORCH_CHECKED;
int ctorch_max_pool_backward(ctorch_tensor grad_output, ctorch_tensor input, ctorch_tensor indices, int size,
                             int stride, int padding, ctorch_tensor *grad_input) CTORCH_CHECKED;

/// N×C×H×W to N×CHW in channel, row, column order.
int ctorch_flatten(ctorch_tensor input, ctorch_tensor *out) CTORCH_CHECKED;
/// N×K back to the shape of `like`.
int ctorch_unflatten(ctorch_tensor input, ctorch_tensor like, ctorch_tensor *out) CTORCH_CHECKED;

/// input · weightᵀ + bias; `weight` is O×I.
int ctorch_linear(ctorch_tensor input, ctorch_tensor weight, ctorch_tensor bias, ctorch_tensor *out) CTORCH_CHECKED;
/// Gradients of `ctorch_linear`; a null `grad_weight` with a null `grad_bias` is not computed.
int ctorch_linear_backward(ctorch_tensor grad_output, ctorch_tensor input, ctorch_tensor weight,
                           ctorch_tensor *grad_input, ctorch_tensor *grad_weight,
                           ctorch_tensor *grad_bias) CTORCH_CHECKED;

/// Room for N values each of a classifier's predictions; each may be null.
typedef struct {
  /// Cross-entropy, in nats.
  double *losses;
  /// Entropy of the softmax, in nats.
  double *entropies;
  /// p_y − max_{k≠y} p_k
  double *margins;
  /// The class with the largest logit, the lowest among equals.
  int64_t *classes;
} ctorch_predictions;

/// Cross-entropy of softmax(logits) per sample. With `smoothing` s the target is (1 − s)·onehot + s/classes.
/// `grad_logits`, where not null, gets each sample's ∂loss/∂logits times `grad_scale`.
int ctorch_cross_entropy(ctorch_tensor logits, ctorch_tensor labels, double smoothing, double grad_scale,
                         ctorch_predictions out, ctorch_tensor *grad_logits) CTORCH_CHECKED;

/// Computes what training needs of a batch's cross-entropy, without waiting for a device: `sums` is Σ loss and the
/// number of wrong predictions (2, float64), and `grad_logits` is as in `ctorch_cross_entropy`.
int ctorch_batch_loss(ctorch_tensor logits, ctorch_tensor labels, double smoothing, double grad_scale,
                      ctorch_tensor *sums, ctorch_tensor *grad_logits) CTORCH_CHECKED;

/// The odds against the true class: u = log((1 − p_y) / p_y) per sample. Writes N values of 1 − p_y to
/// `error_probabilities` and each sample's ∂u/∂logits to `grad_logits`; that of the cross-entropy is the same times
/// 1 − p_y.
int ctorch_log_odds(ctorch_tensor logits, ctorch_tensor labels, double *error_probabilities,
                    ctorch_tensor *grad_logits) CTORCH_CHECKED;

// MARK: reductions a sample

/// For each sample (dimension 0) Σab, Σaa and Σbb over all other elements, in float64.
/// Each of the three has room for N values.
int ctorch_sample_products(ctorch_tensor a, ctorch_tensor b, double *ab, double *aa, double *bb) CTORCH_CHECKED;
/// For each sample Σaa.
int ctorch_sample_squares(ctorch_tensor a, double *aa) CTORCH_CHECKED;

// MARK: batches and optimisation

/// A normalised batch out of byte images (M×C×H×W uint8). Row i of `selection` (N×4 int64) says which image is the
/// result's i-th, whether it is mirrored (0 or 1), and by how many rows and columns it is then moved; what moves in
/// from outside is 0. A pixel becomes byte·scale[c] + offset[c] (C each, float32).
int ctorch_gather_images(ctorch_tensor images, ctorch_tensor selection, ctorch_tensor scale, ctorch_tensor offset,
                         ctorch_dtype dtype, ctorch_tensor *out) CTORCH_CHECKED;

/// Adds a step's `sums` (of `ctorch_batch_loss`) to `totals` (3, float64: Σ loss, wrong predictions, steps), and counts
/// the step where Σ loss still is a number. `skip` (1, float32) is 1 where it is none, else 0.
int ctorch_count_step(ctorch_tensor totals, ctorch_tensor sums, ctorch_tensor *skip) CTORCH_CHECKED;

/// A step of stochastic gradient descent with momentum, in place on `count` tensors:
/// v ← momentum·v + g + decay·p;  p ← p − rate·(nesterov ? g + decay·p + momentum·v : v).
typedef struct {
  const ctorch_tensor *parameters, *gradients, *velocities;
  int count;
  /// One number of any floating type.
  ctorch_tensor rate;
  /// Where it is 0 the velocities are left as they are.
  double momentum;
  double decay;
  bool nesterov;
  /// Nothing happens where it is 1 (1, float32); it may be null.
  ctorch_tensor unless;
} ctorch_sgd_step;

int ctorch_sgd(const ctorch_sgd_step *step) CTORCH_CHECKED;

/// A step of Adam (Kingma & Ba 2015) with its usual moments' rates, 0.9 and 0.999, in place on `count` float tensors.
/// The moments are of the parameters' shapes.
/// - steps: the number of this step, from 1
int ctorch_adam(const ctorch_tensor *parameters, const ctorch_tensor *gradients, const ctorch_tensor *firsts,
                const ctorch_tensor *seconds, int count, double rate, int64_t steps) CTORCH_CHECKED;

// MARK: fitting small maps

/// Adds the pixels of one batch to the sums of a linear regression. For each pixel x (C numbers and a 1) of `inputs`
/// (N×C×H×W) and y (D numbers) of `outputs` (N×D×H×W), `gram` (C+1×C+1) gets x·xᵀ and `cross` (C+1×D) gets x·yᵀ; both
/// are float64.
int ctorch_regression_add(ctorch_tensor inputs, ctorch_tensor outputs, ctorch_tensor gram,
                          ctorch_tensor cross) CTORCH_CHECKED;
/// The weight (D×C) and bias (D) that minimise the mean over pixels of ‖W·x + b − y‖², plus `penalty` times the sum of
/// squares of the weights of inputs whose deviation is 1; float64. An input that does not vary gets no weight.
/// Refused where no pixel was added, and for a penalty that is not above 0.
/// - means, deviations: of each input (C, float64); the deviation of one that does not vary is 0
int ctorch_regression_solve(ctorch_tensor gram, ctorch_tensor cross, double penalty, ctorch_tensor *weight,
                            ctorch_tensor *bias, ctorch_tensor *means, ctorch_tensor *deviations) CTORCH_CHECKED;

/// The weight (K×D) and bias (K) of a multinomial logistic regression, float64: the least mean cross-entropy over
/// `features` (N×D) and `labels` (N int64, from 0 to K−1), plus `penalty`/2 times the sum of squares of the weights of
/// features whose deviation is 1. A feature that does not vary gets no weight. It is found by libtorch's L-BFGS,
/// and refused where that does not come to the optimum.
int ctorch_logistic_regression(ctorch_tensor features, ctorch_tensor labels, int64_t classes, double penalty,
                               ctorch_tensor *weight, ctorch_tensor *bias) CTORCH_CHECKED;

/// `scale` times each sample's ∂KL(target‖read)/∂read of the softmaxes of two N×K tensors: softmax(read) −
/// softmax(target).
int ctorch_divergence_gradient(ctorch_tensor target, ctorch_tensor read, double scale,
                               ctorch_tensor *out) CTORCH_CHECKED;

// MARK: recorded operations, whose gradients libtorch's autograd finds

/// How often this library has written the tensor's memory since it was first asked, by any handle to it; what a CUDA
/// graph's replay writes is not counted.
int64_t ctorch_writes(ctorch_tensor tensor);

/// Begins a record: a value on the memory of `tensor`, which must not be written until the gradients are found. Where
/// `watched`, operations on the value are recorded. Refused while a CUDA graph is being captured.
int ctorch_tape_leaf(ctorch_tensor tensor, bool watched, ctorch_tensor *out) CTORCH_CHECKED;

/// Operations on values of N×C×H×W.
typedef enum {
  CTORCH_TAPE_RELU = 0,
  CTORCH_TAPE_SIGMOID = 1,
  /// scale·a
  CTORCH_TAPE_SCALE = 2,
  /// The mean over each channel's pixels: N×C×1×1.
  CTORCH_TAPE_MEAN = 3,
  /// a + scale·b
  CTORCH_TAPE_ADD = 4,
  /// a·b, b's sizes of 1 being repeated.
  CTORCH_TAPE_MULTIPLY = 5,
} ctorch_tape_operation;

/// - b: null for operations on one value
int ctorch_tape_apply(ctorch_tape_operation operation, ctorch_tensor a, ctorch_tensor b, double scale,
                      ctorch_tensor *out) CTORCH_CHECKED;
/// Filters with I channels on C channels of input mean C/I groups: each group of outputs reads its own I channels.
/// - convolution: of values; its bias may be null
int ctorch_tape_convolve(ctorch_tensor input, const ctorch_convolution *convolution, ctorch_tensor *out) CTORCH_CHECKED;
/// Every `stride`-th pixel of every `stride`-th row, with `zeros` channels of zeros before the channels and as many
/// behind.
int ctorch_tape_subsample(ctorch_tensor input, int stride, int zeros, ctorch_tensor *out) CTORCH_CHECKED;
/// The mean of each window of `size`×`size` pixels, windows that begin at every `size`-th pixel; those at an edge may
/// have fewer pixels.
int ctorch_tape_average_pool(ctorch_tensor input, int size, ctorch_tensor *out) CTORCH_CHECKED;
/// Batch normalisation without ReLU. Its γ and β are values, its running statistics are tensors.
int ctorch_tape_normalise(ctorch_tensor input, const ctorch_norm *norm, ctorch_norm_mode mode,
                          ctorch_tensor *out) CTORCH_CHECKED;
/// A value as a tensor that no longer belongs to the record; channels-last.
int ctorch_tape_result(ctorch_tensor value, ctorch_tensor *out) CTORCH_CHECKED;

/// Asks for the gradients of a scalar with respect to watched values, from its gradient with respect to `result`.
typedef struct {
  ctorch_tensor result, gradient;
  const ctorch_tensor *values;
  int count;
  /// True if it will be asked again; else the record is freed.
  bool keeps_record;
} ctorch_tape_question;

/// - out: room for `count` gradients, each of its value's shape and type
int ctorch_tape_gradients(const ctorch_tape_question *question, ctorch_tensor *out) CTORCH_CHECKED;

// MARK: work that a device does later

typedef struct ctorch_reading_impl *ctorch_reading;
typedef struct ctorch_graph_impl *ctorch_graph;

/// Begins to read a float64 tensor of few elements, as it is when the device comes to that; neither is the device
/// stopped, nor must the tensor stay as it is.
int ctorch_read_start(ctorch_tensor tensor, ctorch_reading *out) CTORCH_CHECKED;
/// Waits until the device has come to it, and writes the `count` elements. The reading is gone then, also where it
/// fails.
int ctorch_read_finish(ctorch_reading reading, double *values, size_t count) CTORCH_CHECKED;
/// Lets a reading go that nobody waits for any more.
void ctorch_read_abandon(ctorch_reading reading);

/// Begins to capture what this thread asks of a CUDA device, instead of doing it. Nothing may be read from the device
/// until `ctorch_graph_end`; what is made meanwhile belongs to the graph, and every replay overwrites it.
int ctorch_graph_begin(ctorch_device device, ctorch_graph *out) CTORCH_CHECKED;
int ctorch_graph_end(ctorch_graph graph) CTORCH_CHECKED;
/// Does all that was captured, on the tensors that it was captured with, as one launch.
int ctorch_graph_replay(ctorch_graph graph) CTORCH_CHECKED;
/// Also ends a capture that is under way.
void ctorch_graph_free(ctorch_graph graph);

// MARK: several processes

typedef struct ctorch_store_impl *ctorch_store;
typedef struct ctorch_reduction_impl *ctorch_reduction;

/// True if this was built with Gloo's headers; processes cannot join without.
bool ctorch_has_gloo(void);
/// True if this was built with NCCL's headers; GPUs' tensors cannot be exchanged without.
bool ctorch_has_nccl(void);

/// Serves the meeting point of processes that this one starts and is none of. A `port` of 0 becomes a free one.
int ctorch_store_serve(int *port, ctorch_store *out) CTORCH_CHECKED;
void ctorch_store_free(ctorch_store store);

/// Where and as what a process meets the others.
typedef struct {
  const char *host;
  int port;
  /// The number of this process, from 0, and the number of all processes.
  int rank, size;
  /// Under what name to meet where another program serves the meeting point; null where process 0 does.
  const char *prefix;
  /// How long to wait for the others to come, and later for their part of an exchange.
  double join_seconds, timeout_seconds;
} ctorch_meeting;

/// Waits until all processes are there.
int ctorch_group_join(ctorch_meeting meeting, ctorch_group *out) CTORCH_CHECKED;
void ctorch_group_free(ctorch_group group);

// Every process must make the same exchanges in the same order; one that is lost makes those of the others fail.

/// Begins to sum tensors of one type over the processes. They must be neither read nor written until
/// `ctorch_reduction_finish` has put the sums, the same bits in every process, into them.
int ctorch_group_sum_start(ctorch_group group, const ctorch_tensor *tensors, int count,
                           ctorch_reduction *out) CTORCH_CHECKED;
/// Waits for the sums. The reduction is gone then, also where it fails.
int ctorch_reduction_finish(ctorch_reduction reduction) CTORCH_CHECKED;
/// Lets a reduction go that nobody waits for any more.
void ctorch_reduction_abandon(ctorch_reduction reduction);
/// Overwrites tensors of one type with those of process 0.
int ctorch_group_broadcast(ctorch_group group, const ctorch_tensor *tensors, int count) CTORCH_CHECKED;
/// The elements of every process's `mine`, in the order of the processes; their numbers must be equal.
int ctorch_group_gather(ctorch_group group, ctorch_tensor mine, ctorch_tensor *out) CTORCH_CHECKED;

#ifdef __cplusplus
}
#endif
#endif
