using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    public static Tensor arange(Scalar stop, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        arange(0, stop, 1, dtype, device, requires_grad);

    public static Tensor arange(Scalar start, Scalar stop, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        arange(start, stop, 1, dtype, device, requires_grad);

    /// <summary>Numbers from <paramref name="start"/> up to, not with, <paramref name="stop"/>; integers when all three are.</summary>
    public static Tensor arange(Scalar start, Scalar stop, Scalar step, ScalarType? dtype = null, Device? device = null, bool requires_grad = false)
    {
        bool whole = is_integral(start.Type) && is_integral(stop.Type) && is_integral(step.Type);
        ScalarType type = dtype ?? (whole ? ScalarType.Int64 : get_default_dtype());
        return Ops.arange__start_step.Call(start, stop, step, type, Arg.None, InitializeDevice(device)).requires_grad_(requires_grad);
    }

    public static Tensor linspace(double start, double end, long steps, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Ops.linspace.Call(start, end, steps, dtype ?? get_default_dtype(), Arg.None, InitializeDevice(device)).requires_grad_(requires_grad);

    public static Tensor logspace(double start, double end, long steps, double @base = 10, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Ops.logspace.Call(start, end, steps, @base, dtype ?? get_default_dtype(), Arg.None, InitializeDevice(device)).requires_grad_(requires_grad);

    public static Tensor eye(long rows, long columns = -1, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, string[]? names = null)
    {
        Unnamed(names);
        long width = columns == -1 ? rows : columns;
        return Ops.eye__m.Call(rows, width, dtype ?? get_default_dtype(), Arg.None, InitializeDevice(device)).requires_grad_(requires_grad);
    }

    public static Tensor randint(long low, long high, long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null)
    {
        Unnamed(names);
        return Ops.randint__low_generator.Call(
            low, high, size, Arg.Optional(generator), dtype ?? ScalarType.Int64, Arg.None, InitializeDevice(device)).requires_grad_(requires_grad);
    }

    public static Tensor randint(long high, long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        randint(0L, high, size, dtype, device, requires_grad, generator, names);

    public static Tensor randint(long low, long high, Size size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        randint(low, high, size.Shape, dtype, device, requires_grad, generator, names);

    public static Tensor randint(long high, Size size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        randint(0L, high, size.Shape, dtype, device, requires_grad, generator, names);

    public static Tensor randperm(long n, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null) =>
        Ops.randperm__generator.Call(n, Arg.Optional(generator), dtype ?? ScalarType.Int64, Arg.None, InitializeDevice(device)).requires_grad_(requires_grad);

    public static Tensor normal(double mean, double std, ReadOnlySpan<long> size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null, string[]? names = null) =>
        randn(size, dtype, device, false, generator, names).mul_(std).add_(mean).requires_grad_(requires_grad);

    public static Tensor complex(Tensor real, Tensor imag) => Ops.complex.Call(real, imag);

    public static Tensor polar(Tensor abs, Tensor angle) => Ops.polar.Call(abs, angle);

    /// <summary>
    /// The elements of a file, mapped rather than read; written through to it when <paramref name="shared"/>.
    /// </summary>
    public static Tensor from_file(string filename, bool? shared = null, long? size = 0, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Ops.from_file.Call(filename, shared, size, dtype ?? get_default_dtype(), Arg.None, InitializeDevice(device)).requires_grad_(requires_grad);

    /// <summary>A tensor over an array's memory, not a copy, unless the element type or device asks for one.</summary>
    public static Tensor from_array(Array rawArray, ScalarType? dtype, Device? device = null, bool requires_grad = false, string[]? names = null)
    {
        Unnamed(names);
        Tensor shared = OverArray(rawArray, ElementTypeOf(rawArray), 0, LengthsOf(rawArray));
        return Placed(shared, dtype ?? shared.dtype, device, requires_grad);
    }

    public static Tensor from_array(Array rawArray, Device? device = null) => from_array(rawArray, null, device ?? CPU);

    /// <summary>The tensor itself, under another managed object, when type and device already fit.</summary>
    public static Tensor as_tensor(Tensor data, ScalarType? dtype = null, Device? device = null)
    {
        Device place = device ?? data.device;
        bool fits = (dtype ?? data.dtype) == data.dtype && place.type == data.device_type && (place.index < 0 || place.index == data.device_index);
        return fits ? data.alias() : data.to(dtype ?? data.dtype, place).requires_grad_(data.requires_grad);
    }

    public static Tensor as_tensor(Array data, ScalarType? dtype = null, Device? device = null) => from_array(data, dtype, device);

    /// <summary>A tensor over part of an array's memory; offset and count are in elements of the array.</summary>
    public static Tensor frombuffer(Array rawArray, ScalarType dtype, long count = -1, long offset = 0, bool requires_grad = false)
    {
        if (offset < 0 || offset >= rawArray.LongLength)
        {
            throw new ArgumentException($"invalid value for 'offset': {offset}");
        }

        long length = count < 0 ? rawArray.LongLength - offset : count;
        if (length > rawArray.LongLength - offset)
        {
            throw new IndexOutOfRangeException($"element count is too large: {count}");
        }

        return Placed(OverArray(rawArray, ElementTypeOf(rawArray), offset, [length]), dtype, CPU, requires_grad);
    }

    private static Tensor Filled(Op op, long[] size, ScalarType? dtype, Device? device, bool requiresGrad, string[]? names)
    {
        Unnamed(names);
        Tensor result = op.Call(size, dtype ?? get_default_dtype(), Arg.None, InitializeDevice(device));
        return requiresGrad ? result.requires_grad_() : result;
    }

    private static Tensor Drawn(Op op, long[] size, ScalarType? dtype, Device? device, bool requiresGrad, Generator? generator, string[]? names)
    {
        Unnamed(names);
        return op.Call(size, Arg.Optional(generator), dtype ?? get_default_dtype(), Arg.None, InitializeDevice(device)).requires_grad_(requiresGrad);
    }

    private static Tensor Full(long[] size, Scalar value, ScalarType? dtype, Device? device, bool requiresGrad, string[]? names)
    {
        Unnamed(names);
        ScalarType type = dtype ?? (is_integral(value.Type) ? ScalarType.Int64 : get_default_dtype());
        return Ops.full.Call(size, value, type, Arg.None, InitializeDevice(device)).requires_grad_(requiresGrad);
    }

    private static Tensor OfNumber(Scalar value, ScalarType ownType, ScalarType? dtype, Device? device, bool requiresGrad)
    {
        Tensor own = Ops.scalar_tensor.Call(value, ownType, Arg.None, InitializeDevice(device)).requires_grad_(requiresGrad);
        return dtype is { } type && type != ownType ? own.to(type, disposeAfter: true) : own;
    }

    private static unsafe Tensor OfArray(Array data, long[] lengths, ScalarType ownType, ScalarType? dtype, Device? device, bool requiresGrad, string[]? names = null)
    {
        Unnamed(names);
        ArgumentNullException.ThrowIfNull(data);
        long count = lengths.TotalSize();
        if (count > data.LongLength)
        {
            throw new ArgumentException($"mismatched total size creating a tensor from an array: {count} vs. {data.LongLength}");
        }

        Tensor copy = empty(lengths, ownType, CPU);
        fixed (byte* first = &MemoryMarshal.GetArrayDataReference(data))
        {
            long size = count * ownType.ElementSize();
            Buffer.MemoryCopy(first, copy.Data, size, size);
        }

        return Placed(copy, dtype ?? ownType, device, requiresGrad);
    }

    private static unsafe Tensor OverArray(Array data, ScalarType type, long offset, long[] lengths)
    {
        GCHandle pin = GCHandle.Alloc(data, GCHandleType.Pinned);
        byte* first = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(data)) + (offset * type.ElementSize());
        fixed (long* sizes = lengths)
        {
            nint handle = Native.binding_from_memory(first, sizes, lengths.Length, (int)type, &Unpin, GCHandle.ToIntPtr(pin));
            if (handle == 0)
            {
                pin.Free();
                throw Native.Error();
            }

            return new Tensor(handle);
        }
    }

    [UnmanagedCallersOnly]
    private static void Unpin(nint pin) => GCHandle.FromIntPtr(pin).Free();

    /// <summary>The tensor in the wanted type and place; what is not needed any more goes.</summary>
    private static Tensor Placed(Tensor source, ScalarType type, Device? device, bool requiresGrad)
    {
        Device place = InitializeDevice(device);
        Tensor leaf = requiresGrad ? source.requires_grad_() : source; // before the conversion, as in the package: its result is no leaf
        return source.dtype == type && place.type == DeviceType.CPU ? leaf : leaf.to(type, place, false, true);
    }

    private static long[] LengthsOf(Array array) => Enumerable.Range(0, array.Rank).Select(array.GetLongLength).ToArray();

    private static ScalarType ElementTypeOf(Array array) => Type.GetTypeCode(array.GetType().GetElementType()) switch
    {
        TypeCode.Byte => ScalarType.Byte,
        TypeCode.SByte => ScalarType.Int8,
        TypeCode.Int16 => ScalarType.Int16,
        TypeCode.Int32 => ScalarType.Int32,
        TypeCode.Int64 => ScalarType.Int64,
        TypeCode.Single => ScalarType.Float32,
        TypeCode.Double => ScalarType.Float64,
        TypeCode.Boolean => ScalarType.Bool,
        _ when array.GetType().GetElementType() == typeof(Half) => ScalarType.Float16,
        _ when array.GetType().GetElementType() == typeof(Complex) => ScalarType.ComplexFloat64,
        _ => throw new NotSupportedException($"The type {array.GetType().GetElementType()} is not supported."),
    };

    private static Device Unnamed(Device? device, string[]? names)
    {
        Unnamed(names);
        return InitializeDevice(device);
    }

    private static Tensor Unnamed(Tensor input, string[]? names)
    {
        Unnamed(names);
        return input;
    }

    private static void Unnamed(string[]? names)
    {
        if (names is { Length: > 0 })
        {
            throw new NotSupportedException("This binding has no named dimensions.");
        }
    }
}
