using System.Runtime.InteropServices;

namespace TorchSharp.Binding;

/// <summary>One argument or result of an operator, laid out as <c>Value</c> in native/operators.cpp.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Value
{
    internal long Bits;
    internal Kind Kind;
    internal int Count;
}

/// <summary>What a <see cref="Value"/> holds; the numbers are those of native/operators.cpp.</summary>
internal enum Kind
{
    None = 0, Tensor = 1, Int = 2, Double = 3, Bool = 4, Complex = 5, IntList = 6, DoubleList = 7,
    TensorList = 8, OptionalTensorList = 9, String = 10, Device = 11, Generator = 12,
}

/// <summary>The functions of libTorchBinding.so. Tensors and generators are passed as native pointers.</summary>
internal static unsafe partial class Native
{
    private const string Library = "TorchBinding";

    static Native() => Startup.Prepare();

    [LibraryImport(Library)] private static partial byte* binding_error();
    [LibraryImport(Library)] private static partial byte* binding_version();
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)] internal static partial nint binding_find(string name, string overload);
    [LibraryImport(Library)] internal static partial nint binding_call(nint op, Value* arguments, int count);
    [LibraryImport(Library)] internal static partial int binding_call_void(nint op, Value* arguments, int count);
    [LibraryImport(Library)] internal static partial int binding_call_values(nint op, Value* arguments, int count, Value* results, int capacity);
    [LibraryImport(Library)] internal static partial void binding_free(nint memory);

    [LibraryImport(Library)] internal static partial void binding_release(nint tensor);
    [LibraryImport(Library)] internal static partial nint binding_alias(nint tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial long binding_dim(nint tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial long binding_numel(nint tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial int binding_dtype(nint tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial long binding_element_size(nint tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial long binding_device(nint tensor);
    [LibraryImport(Library)] internal static partial int binding_sizes(nint tensor, long* sizes);
    [LibraryImport(Library)] internal static partial int binding_strides(nint tensor, long* strides);
    [LibraryImport(Library)] internal static partial long binding_storage_offset(nint tensor);
    [LibraryImport(Library)] internal static partial int binding_is_contiguous(nint tensor);
    [LibraryImport(Library), SuppressGCTransition] internal static partial int binding_is_sparse(nint tensor);
    [LibraryImport(Library)] internal static partial int binding_is_pinned(nint tensor);
    [LibraryImport(Library)] internal static partial nint binding_data(nint tensor, int* failed);

    [LibraryImport(Library)] internal static partial int binding_requires_grad(nint tensor);
    [LibraryImport(Library)] internal static partial int binding_set_requires_grad(nint tensor, int value);
    [LibraryImport(Library)] internal static partial int binding_is_leaf(nint tensor);
    [LibraryImport(Library)] internal static partial int binding_retain_grad(nint tensor);
    [LibraryImport(Library)] internal static partial nint binding_grad(nint tensor);
    [LibraryImport(Library)] internal static partial int binding_set_grad(nint tensor, nint grad);
    [LibraryImport(Library)] internal static partial int binding_backward(nint* tensors, int count, nint* grads, int gradCount, int retainGraph, int createGraph, nint* inputs, int inputCount);
    [LibraryImport(Library)] internal static partial int binding_gradients(nint* outputs, int count, nint* inputs, int inputCount, nint* grads, int gradCount, int retainGraph, int createGraph, int allowUnused, nint* results);
    [LibraryImport(Library), SuppressGCTransition] internal static partial int binding_grad_mode();
    [LibraryImport(Library), SuppressGCTransition] internal static partial void binding_set_grad_mode(int enabled);
    [LibraryImport(Library), SuppressGCTransition] internal static partial int binding_inference_mode();
    [LibraryImport(Library)] internal static partial nint binding_enter_inference_mode(int enabled);
    [LibraryImport(Library)] internal static partial void binding_leave_inference_mode(nint guard);
    [LibraryImport(Library)] internal static partial int binding_anomaly_mode();
    [LibraryImport(Library)] internal static partial void binding_set_anomaly_mode(int enabled, int checkNan);

    [LibraryImport(Library)] internal static partial nint binding_from_memory(void* data, long* sizes, int dim, int dtype, delegate* unmanaged<nint, void> release, nint context);

    [LibraryImport(Library)] internal static partial nint binding_new_generator(ulong seed);
    [LibraryImport(Library)] internal static partial nint binding_default_generator();
    [LibraryImport(Library)] internal static partial void binding_release_generator(nint generator);
    [LibraryImport(Library)] internal static partial int binding_generator_seed(nint generator, ulong seed);
    [LibraryImport(Library)] internal static partial ulong binding_generator_initial_seed(nint generator);
    [LibraryImport(Library)] internal static partial ulong binding_generator_random_seed(nint generator);
    [LibraryImport(Library)] internal static partial nint binding_generator_state(nint generator);
    [LibraryImport(Library)] internal static partial int binding_set_generator_state(nint generator, nint state);
    [LibraryImport(Library)] internal static partial int binding_manual_seed(ulong seed);

    [LibraryImport(Library)] internal static partial int binding_num_threads();
    [LibraryImport(Library)] internal static partial int binding_set_num_threads(int count);
    [LibraryImport(Library)] internal static partial int binding_num_interop_threads();
    [LibraryImport(Library)] internal static partial int binding_set_num_interop_threads(int count);
    [LibraryImport(Library)] internal static partial int binding_cuda_device_count();
    [LibraryImport(Library)] internal static partial int binding_cudnn_is_available();
    [LibraryImport(Library)] internal static partial int binding_cuda_seed(ulong seed, int everyDevice);
    [LibraryImport(Library)] internal static partial int binding_cuda_synchronize(long device);
    [LibraryImport(Library)] internal static partial int binding_switch(int which, int value);

    /// <summary>The version of the libtorch that the binding was built with.</summary>
    internal static string Version => Marshal.PtrToStringUTF8((nint)binding_version())!;

    /// <summary>This thread's last native failure as the exception that TorchSharp throws for one.</summary>
    internal static ExternalException Error() => new(Marshal.PtrToStringUTF8((nint)binding_error()));

    /// <summary>Throws for a result that says failure (negative), passes any other on.</summary>
    internal static int Check(int result) => result >= 0 ? result : throw Error();

    /// <summary>Throws for a null pointer, passes any other on.</summary>
    internal static nint Check(nint result) => result != 0 ? result : throw Error();
}
