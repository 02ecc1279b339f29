// Calls any libtorch operator by its schema name: the dispatcher finds it once, then every call pushes
// its arguments on a stack, lets the dispatcher run the boxed kernel and pops the results.
#include "binding.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>

namespace {

enum Kind : int32_t {
  kNone = 0,
  kTensor = 1,
  kInt = 2,
  kDouble = 3,
  kBool = 4,
  kComplex = 5,
  kIntList = 6,
  kDoubleList = 7,
  kTensorList = 8,
  kOptionalTensorList = 9,
  kString = 10,
  kDevice = 11,
  kGenerator = 12,
};

// One argument or result; Native.Value on the managed side. Lists are a pointer in `bits` and a count.
struct Value {
  int64_t bits;
  int32_t kind;
  int32_t count;

  template <class T>
  T* pointer() const {
    return reinterpret_cast<T*>(static_cast<intptr_t>(bits));
  }
};
static_assert(sizeof(Value) == 16, "Native.Value is 16 bytes");

// An operator with the defaults of its arguments: a caller may leave out trailing ones, so a schema that
// grew an argument in a later libtorch needs no change here.
struct Operator {
  c10::OperatorHandle handle;
  std::vector<Optional<c10::IValue>> defaults;
};

c10::IValue to_ivalue(const Value& value) {
  switch (value.kind) {
    case kNone:
      return c10::IValue();
    case kTensor:
      return c10::IValue(borrowed(value.pointer<at::TensorImpl>()));
    case kInt:
      return c10::IValue(value.bits);
    case kDouble: {
      double number;
      std::memcpy(&number, &value.bits, sizeof number);
      return c10::IValue(number);
    }
    case kBool:
      return c10::IValue(value.bits != 0);
    case kComplex: {
      const double* parts = value.pointer<const double>();
      return c10::IValue(c10::complex<double>(parts[0], parts[1]));
    }
    case kIntList:
      return c10::IValue(c10::IntArrayRef(value.pointer<const int64_t>(), value.count));
    case kDoubleList: {
      c10::List<double> list;
      list.reserve(value.count);
      for (int32_t i = 0; i < value.count; ++i) {
        list.push_back(value.pointer<const double>()[i]);
      }
      return c10::IValue(std::move(list));
    }
    case kTensorList: {
      c10::List<at::Tensor> list;
      list.reserve(value.count);
      for (int32_t i = 0; i < value.count; ++i) {
        list.push_back(borrowed(value.pointer<at::TensorImpl*>()[i]));
      }
      return c10::IValue(std::move(list));
    }
    case kOptionalTensorList: {
      c10::List<Optional<at::Tensor>> list;
      list.reserve(value.count);
      for (int32_t i = 0; i < value.count; ++i) {
        at::TensorImpl* handle = value.pointer<at::TensorImpl*>()[i];
        list.push_back(handle == nullptr ? Optional<at::Tensor>() : Optional<at::Tensor>(borrowed(handle)));
      }
      return c10::IValue(std::move(list));
    }
    case kString:
      return c10::IValue(std::string(value.pointer<const char>(), value.count));
    case kDevice:
      return c10::IValue(c10::Device(static_cast<c10::DeviceType>(value.bits), static_cast<c10::DeviceIndex>(value.count)));
    case kGenerator:
      return c10::IValue(*value.pointer<at::Generator>());
    default:
      TORCH_CHECK(false, "argument of unknown kind ", value.kind);
  }
}

Value to_value(c10::IValue& result) {
  Value value{0, kNone, 0};
  if (result.isTensor()) {
    value.kind = kTensor;
    value.bits = reinterpret_cast<intptr_t>(released(std::move(result).toTensor()));
  } else if (result.isInt()) {
    value.kind = kInt;
    value.bits = result.toInt();
  } else if (result.isDouble()) {
    value.kind = kDouble;
    const double number = result.toDouble();
    std::memcpy(&value.bits, &number, sizeof number);
  } else if (result.isBool()) {
    value.kind = kBool;
    value.bits = result.toBool() ? 1 : 0;
  } else if (result.isComplexDouble()) {
    value.kind = kComplex;
    const c10::complex<double> number = result.toComplexDouble();
    double* parts = static_cast<double*>(std::malloc(2 * sizeof(double)));
    parts[0] = number.real();
    parts[1] = number.imag();
    value.bits = reinterpret_cast<intptr_t>(parts);
  } else if (result.isTensorList()) {
    std::vector<at::Tensor> tensors = result.toTensorVector();
    auto** handles = static_cast<at::TensorImpl**>(std::malloc((tensors.size() + 1) * sizeof(at::TensorImpl*)));
    for (size_t i = 0; i < tensors.size(); ++i) {
      handles[i] = released(std::move(tensors[i]));
    }
    value.kind = kTensorList;
    value.count = static_cast<int32_t>(tensors.size());
    value.bits = reinterpret_cast<intptr_t>(handles);
  } else {
    TORCH_CHECK(result.isNone(), "an operator returned a ", result.tagKind(), ", which this binding does not take");
  }
  return value;
}

// The thread's stack, kept between calls so that a call allocates nothing; a call made while another runs
// (a destructor that calls back) works above the outer one's values.
thread_local std::vector<c10::IValue> stack;

struct StackFrame {
  const size_t base = stack.size();
  ~StackFrame() {
    stack.resize(base);
  }
};

void run(const Operator& op, const Value* arguments, int32_t count) {
  const size_t expected = op.defaults.size();
  TORCH_CHECK(static_cast<size_t>(count) <= expected, op.handle.operator_name(), " takes ", expected, " arguments, not ", count);
  stack.reserve(stack.size() + expected);
  for (int32_t i = 0; i < count; ++i) {
    stack.push_back(to_ivalue(arguments[i]));
  }
  for (size_t i = count; i < expected; ++i) {
    TORCH_CHECK(op.defaults[i].has_value(), op.handle.operator_name(), " has no default for its argument ", i);
    stack.push_back(*op.defaults[i]);
  }
  op.handle.callBoxed(&stack);
}

thread_local std::string last_error;

}  // namespace

void remember_error(const std::string& message) {
  last_error = message;
}

// UTF-8 message of this thread's last failure; valid until its next one.
BINDING_API const char* binding_error() {
  return last_error.c_str();
}

// The operator `name`.`overload`, or null when this libtorch has none.
BINDING_API Operator* binding_find(const char* name, const char* overload) {
  return guarded<Operator*>(nullptr, [&]() -> Operator* {
    auto handle = c10::Dispatcher::singleton().findSchema(c10::OperatorName(name, overload));
    if (!handle.has_value()) {
      remember_error(std::string("libtorch " TORCH_VERSION " has no operator ") + name + (*overload ? "." : "") + overload);
      return nullptr;
    }
    std::vector<Optional<c10::IValue>> defaults;
    for (const auto& argument : handle->schema().arguments()) {
      const auto& given = argument.default_value();
      defaults.push_back(given.has_value() ? Optional<c10::IValue>(*given) : Optional<c10::IValue>());
    }
    return new Operator{*handle, std::move(defaults)};
  });
}

// For operators with one tensor as their result; null is a failure.
BINDING_API at::TensorImpl* binding_call(const Operator* op, const Value* arguments, int32_t count) {
  return guarded<at::TensorImpl*>(nullptr, [&]() -> at::TensorImpl* {
    StackFrame frame;
    run(*op, arguments, count);
    at::TensorImpl* result = released(std::move(stack[frame.base]).toTensor());
    TORCH_CHECK(result != nullptr, op->handle.operator_name(), " returned an undefined tensor");
    return result;
  });
}

// For operators called for their effect: the results are dropped. -1 is a failure.
BINDING_API int32_t binding_call_void(const Operator* op, const Value* arguments, int32_t count) {
  return guarded<int32_t>(-1, [&] {
    StackFrame frame;
    run(*op, arguments, count);
    return 0;
  });
}

// For operators with any other results: as many as they have, at most `capacity`. -1 is a failure.
// Lists and complex numbers come in memory for binding_free.
BINDING_API int32_t binding_call_values(
    const Operator* op, const Value* arguments, int32_t count, Value* results, int32_t capacity) {
  return guarded<int32_t>(-1, [&] {
    StackFrame frame;
    run(*op, arguments, count);
    const int32_t returned = static_cast<int32_t>(stack.size() - frame.base);
    TORCH_CHECK(returned <= capacity, op->handle.operator_name(), " returned ", returned, " values");
    for (int32_t i = 0; i < returned; ++i) {
      results[i] = to_value(stack[frame.base + i]);
    }
    return returned;
  });
}

BINDING_API void binding_free(void* memory) {
  std::free(memory);
}
