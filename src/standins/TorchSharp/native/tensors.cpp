// What is not an operator: tensor handles and their fields, the autograd engine, random generators,
// memory that the caller owns, threads and CUDA's state.
#include "binding.h"

#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/cuda.h>
#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/autograd.h>

using Handle = at::TensorImpl*;

namespace {

std::vector<at::Tensor> borrowed_list(Handle const* handles, int32_t count) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(count);
  for (int32_t i = 0; i < count; ++i) {
    tensors.push_back(borrowed(handles[i]));
  }
  return tensors;
}

}  // namespace

BINDING_API const char* binding_version() {
  return TORCH_VERSION;
}

// --- handles and fields -------------------------------------------------------------------------------

BINDING_API void binding_release(Handle tensor) {
  guarded<int>(0, [&] {
    c10::intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl>::reclaim(tensor);
    return 0;
  });
}

BINDING_API Handle binding_alias(Handle tensor) {
  return released(borrowed(tensor));
}

BINDING_API int64_t binding_dim(Handle tensor) {
  return tensor->dim();
}

BINDING_API int64_t binding_numel(Handle tensor) {
  return tensor->numel();
}

BINDING_API int32_t binding_dtype(Handle tensor) {
  return static_cast<int32_t>(c10::typeMetaToScalarType(tensor->dtype()));
}

BINDING_API int64_t binding_element_size(Handle tensor) {
  return static_cast<int64_t>(tensor->dtype().itemsize());
}

// The device's type in the low half, its index in the high half.
BINDING_API int64_t binding_device(Handle tensor) {
  const c10::Device device = tensor->device();
  return (static_cast<int64_t>(device.index()) << 32) | static_cast<uint32_t>(device.type());
}

BINDING_API int32_t binding_sizes(Handle tensor, int64_t* sizes) {
  return guarded<int32_t>(-1, [&] {
    const auto values = tensor->sizes();
    std::copy(values.begin(), values.end(), sizes);
    return 0;
  });
}

BINDING_API int32_t binding_strides(Handle tensor, int64_t* strides) {
  return guarded<int32_t>(-1, [&] {
    const auto values = tensor->strides();
    std::copy(values.begin(), values.end(), strides);
    return 0;
  });
}

BINDING_API int64_t binding_storage_offset(Handle tensor) {
  return guarded<int64_t>(-1, [&] { return tensor->storage_offset(); });
}

BINDING_API int32_t binding_is_contiguous(Handle tensor) {
  return guarded<int32_t>(-1, [&] { return tensor->is_contiguous() ? 1 : 0; });
}

BINDING_API int32_t binding_is_sparse(Handle tensor) {
  return tensor->is_sparse() ? 1 : 0;
}

BINDING_API int32_t binding_is_pinned(Handle tensor) {
  return guarded<int32_t>(-1, [&] { return borrowed(tensor).is_pinned() ? 1 : 0; });
}

// Address of the first element; null with `*failed` set when the tensor has no memory to point at.
BINDING_API void* binding_data(Handle tensor, int32_t* failed) {
  *failed = 1;
  return guarded<void*>(nullptr, [&] {
    void* data = borrowed(tensor).data_ptr();
    *failed = 0;
    return data;
  });
}

// --- autograd -----------------------------------------------------------------------------------------

BINDING_API int32_t binding_requires_grad(Handle tensor) {
  return guarded<int32_t>(-1, [&] { return borrowed(tensor).requires_grad() ? 1 : 0; });
}

BINDING_API int32_t binding_set_requires_grad(Handle tensor, int32_t value) {
  return guarded<int32_t>(-1, [&] {
    borrowed(tensor).requires_grad_(value != 0);
    return 0;
  });
}

BINDING_API int32_t binding_is_leaf(Handle tensor) {
  return guarded<int32_t>(-1, [&] { return borrowed(tensor).is_leaf() ? 1 : 0; });
}

BINDING_API int32_t binding_retain_grad(Handle tensor) {
  return guarded<int32_t>(-1, [&] {
    borrowed(tensor).retain_grad();
    return 0;
  });
}

// Null for no gradient.
BINDING_API Handle binding_grad(Handle tensor) {
  return guarded<Handle>(nullptr, [&] { return released(borrowed(tensor).grad()); });
}

BINDING_API int32_t binding_set_grad(Handle tensor, Handle grad) {
  return guarded<int32_t>(-1, [&] {
    borrowed(tensor).mutable_grad() = borrowed(grad);
    return 0;
  });
}

BINDING_API int32_t binding_backward(
    Handle const* tensors, int32_t count, Handle const* grads, int32_t grad_count, int32_t retain_graph,
    int32_t create_graph, Handle const* inputs, int32_t input_count) {
  return guarded<int32_t>(-1, [&] {
    torch::autograd::backward(
        borrowed_list(tensors, count), borrowed_list(grads, grad_count), retain_graph != 0, create_graph != 0,
        borrowed_list(inputs, input_count));
    return 0;
  });
}

// One result per input; null where an unused input has no gradient.
BINDING_API int32_t binding_gradients(
    Handle const* outputs, int32_t count, Handle const* inputs, int32_t input_count, Handle const* grads,
    int32_t grad_count, int32_t retain_graph, int32_t create_graph, int32_t allow_unused, Handle* results) {
  return guarded<int32_t>(-1, [&] {
    auto gradients = torch::autograd::grad(
        borrowed_list(outputs, count), borrowed_list(inputs, input_count), borrowed_list(grads, grad_count),
        retain_graph != 0, create_graph != 0, allow_unused != 0);
    for (size_t i = 0; i < gradients.size(); ++i) {
      results[i] = released(std::move(gradients[i]));
    }
    return 0;
  });
}

BINDING_API int32_t binding_grad_mode() {
  return c10::GradMode::is_enabled() ? 1 : 0;
}

BINDING_API void binding_set_grad_mode(int32_t enabled) {
  c10::GradMode::set_enabled(enabled != 0);
}

BINDING_API int32_t binding_inference_mode() {
  return c10::InferenceMode::is_enabled() ? 1 : 0;
}

BINDING_API c10::InferenceMode* binding_enter_inference_mode(int32_t enabled) {
  return new c10::InferenceMode(enabled != 0);
}

BINDING_API void binding_leave_inference_mode(c10::InferenceMode* guard) {
  delete guard;
}

BINDING_API int32_t binding_anomaly_mode() {
  using torch::autograd::AnomalyMode;
  return (AnomalyMode::is_enabled() ? 1 : 0) | (AnomalyMode::should_check_nan() ? 2 : 0);
}

BINDING_API void binding_set_anomaly_mode(int32_t enabled, int32_t check_nan) {
  torch::autograd::AnomalyMode::set_enabled(enabled != 0, check_nan != 0);
}

// --- memory of the caller -----------------------------------------------------------------------------

// A tensor over `data`, which stays the caller's until `release(context)` is called.
BINDING_API Handle binding_from_memory(
    void* data, const int64_t* sizes, int32_t dim, int32_t dtype, void (*release)(void*), void* context) {
  return guarded<Handle>(nullptr, [&] {
    return released(at::from_blob(
        data, at::IntArrayRef(sizes, dim), [release, context](void*) { release(context); },
        at::TensorOptions().dtype(static_cast<at::ScalarType>(dtype))));
  });
}

// --- random numbers -----------------------------------------------------------------------------------

BINDING_API at::Generator* binding_new_generator(uint64_t seed) {
  return guarded<at::Generator*>(nullptr, [&] { return new at::Generator(at::detail::createCPUGenerator(seed)); });
}

BINDING_API at::Generator* binding_default_generator() {
  return guarded<at::Generator*>(nullptr, [&] { return new at::Generator(at::detail::getDefaultCPUGenerator()); });
}

BINDING_API void binding_release_generator(at::Generator* generator) {
  delete generator;
}

BINDING_API int32_t binding_generator_seed(at::Generator* generator, uint64_t seed) {
  return guarded<int32_t>(-1, [&] {
    std::lock_guard<std::mutex> lock(generator->mutex());
    generator->set_current_seed(seed);
    return 0;
  });
}

BINDING_API uint64_t binding_generator_initial_seed(at::Generator* generator) {
  return generator->current_seed();
}

BINDING_API uint64_t binding_generator_random_seed(at::Generator* generator) {
  std::lock_guard<std::mutex> lock(generator->mutex());
  return generator->seed();
}

BINDING_API Handle binding_generator_state(at::Generator* generator) {
  return guarded<Handle>(nullptr, [&] {
    std::lock_guard<std::mutex> lock(generator->mutex());
    return released(generator->get_state());
  });
}

BINDING_API int32_t binding_set_generator_state(at::Generator* generator, Handle state) {
  return guarded<int32_t>(-1, [&] {
    std::lock_guard<std::mutex> lock(generator->mutex());
    generator->set_state(borrowed(state));
    return 0;
  });
}

// Seeds the default generators of every device.
BINDING_API int32_t binding_manual_seed(uint64_t seed) {
  return guarded<int32_t>(-1, [&] {
    at::manual_seed(seed);
    return 0;
  });
}

// --- threads and CUDA ---------------------------------------------------------------------------------

BINDING_API int32_t binding_num_threads() {
  return at::get_num_threads();
}

BINDING_API int32_t binding_set_num_threads(int32_t count) {
  return guarded<int32_t>(-1, [&] {
    at::set_num_threads(count);
    return 0;
  });
}

BINDING_API int32_t binding_num_interop_threads() {
  return at::get_num_interop_threads();
}

BINDING_API int32_t binding_set_num_interop_threads(int32_t count) {
  return guarded<int32_t>(-1, [&] {
    at::set_num_interop_threads(count);
    return 0;
  });
}

BINDING_API int32_t binding_cuda_device_count() {
  return guarded<int32_t>(0, [] { return static_cast<int32_t>(torch::cuda::device_count()); });
}

BINDING_API int32_t binding_cudnn_is_available() {
  return guarded<int32_t>(0, [] { return torch::cuda::cudnn_is_available() ? 1 : 0; });
}

BINDING_API int32_t binding_cuda_seed(uint64_t seed, int32_t every_device) {
  return guarded<int32_t>(-1, [&] {
    every_device != 0 ? torch::cuda::manual_seed_all(seed) : torch::cuda::manual_seed(seed);
    return 0;
  });
}

BINDING_API int32_t binding_cuda_synchronize(int64_t device) {
  return guarded<int32_t>(-1, [&] {
    torch::cuda::synchronize(device);
    return 0;
  });
}

// Sets one of libtorch's process-wide switches, or reads it when `value` is negative.
BINDING_API int32_t binding_switch(int32_t which, int32_t value) {
  return guarded<int32_t>(-1, [&]() -> int32_t {
    at::Context& context = at::globalContext();
    switch (which) {
      case 0:
        if (value >= 0) context.setAllowTF32CuBLAS(value != 0);
        return context.allowTF32CuBLAS() ? 1 : 0;
      case 1:
        if (value >= 0) context.setAllowTF32CuDNN(value != 0);
        return context.allowTF32CuDNN() ? 1 : 0;
      case 2:
        if (value >= 0) context.setSDPUseMath(value != 0);
        return context.userEnabledMathSDP() ? 1 : 0;
      default:
        TORCH_CHECK(false, "unknown switch ", which);
    }
  });
}
