// The C interface between the managed TorchSharp stand-in and libtorch.
//
// Tensors cross it as at::TensorImpl* with one reference owned by the managed side; an undefined
// tensor is a null pointer. No exception crosses it: a function that can fail says so by its return
// value and leaves libtorch's message for binding_error().
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>
#include <torch/version.h>

#define BINDING_API extern "C" __attribute__((visibility("default")))

// c10::optional is libtorch's own class up to 2.0, then another name for std::optional, then gone.
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
#include <optional>
template <class T>
using Optional = std::optional<T>;
#else
#include <c10/util/Optional.h>
template <class T>
using Optional = c10::optional<T>;
#endif

// A second reference to the tensor behind a managed handle; null gives an undefined tensor.
inline at::Tensor borrowed(at::TensorImpl* handle) {
  if (handle == nullptr) {
    return at::Tensor();
  }
  return at::Tensor(c10::intrusive_ptr<at::TensorImpl, at::UndefinedTensorImpl>::reclaim_copy(handle));
}

// The reference that the managed side will own; null for an undefined tensor.
inline at::TensorImpl* released(at::Tensor tensor) {
  return tensor.defined() ? tensor.unsafeReleaseTensorImpl() : nullptr;
}

void remember_error(const std::string& message);

// Runs the body; an exception becomes the failure value and a remembered message.
template <class Result, class Body>
Result guarded(Result failure, Body&& body) noexcept {
  try {
    return std::forward<Body>(body)();
  } catch (const c10::Error& error) {
    remember_error(error.what_without_backtrace());
  } catch (const std::exception& error) {
    remember_error(error.what());
  } catch (...) {
    remember_error("libtorch threw something that is not an exception");
  }
  return failure;
}
