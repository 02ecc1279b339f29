using System.Runtime.CompilerServices;

namespace TorchSharp.Binding;

/// <summary>
/// An argument of an operator call: a number, or a managed object that holds the native thing. It keeps that
/// object reachable until the call has returned.
/// </summary>
internal readonly struct Arg
{
    internal readonly object? Owner;
    internal readonly long Bits;
    internal readonly Kind Kind;
    internal readonly int Count;

    private Arg(Kind kind, long bits, object? owner = null, int count = 0)
    {
        Kind = kind;
        Bits = bits;
        Owner = owner;
        Count = count;
    }

    /// <summary>An optional argument that is not given.</summary>
    internal static Arg None => default;

    public static implicit operator Arg(torch.Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return new(Kind.Tensor, tensor.Handle, tensor);
    }

    public static implicit operator Arg(Scalar scalar)
    {
        ArgumentNullException.ThrowIfNull(scalar);
        return new(scalar.Kind, scalar.Bits, scalar);
    }

    public static implicit operator Arg(long value) => new(Kind.Int, value);

    public static implicit operator Arg(int value) => new(Kind.Int, value);

    public static implicit operator Arg(bool value) => new(Kind.Bool, value ? 1 : 0);

    public static implicit operator Arg(double value) => new(Kind.Double, BitConverter.DoubleToInt64Bits(value));

    public static implicit operator Arg(torch.ScalarType type) => new(Kind.Int, (long)type);

    public static implicit operator Arg(torch.Device device) => new(Kind.Device, (long)device.type, null, device.index);

    public static implicit operator Arg(long[] values)
    {
        ArgumentNullException.ThrowIfNull(values);
        return new(Kind.IntList, 0, values, values.Length);
    }

    public static implicit operator Arg(double[] values) => new(Kind.DoubleList, 0, values, values.Length);

    public static implicit operator Arg(torch.Tensor[] tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        return new(Kind.TensorList, 0, tensors, tensors.Length);
    }

    public static implicit operator Arg(string text)
    {
        byte[] utf8 = System.Text.Encoding.UTF8.GetBytes(text);
        return new(Kind.String, 0, utf8, utf8.Length);
    }

    public static implicit operator Arg(long? value) => value is { } given ? given : None;

    public static implicit operator Arg(bool? value) => value is { } given ? given : None;

    public static implicit operator Arg(double? value) => value is { } given ? given : None;

    public static implicit operator Arg(torch.ScalarType? type) => type is { } given ? given : None;

    /// <summary>A tensor, scalar, list or generator that may be absent.</summary>
    internal static Arg Optional(torch.Tensor? tensor) => tensor is null ? None : tensor;

    internal static Arg Optional(Scalar? scalar) => scalar is null ? None : scalar;

    internal static Arg Optional(long[]? values) => values is null ? None : values;

    internal static Arg Optional(torch.Generator? generator) =>
        generator is null ? None : new(Kind.Generator, generator.Handle, generator);

    /// <summary>A list of which some tensors may be absent, as indexing takes it.</summary>
    internal static Arg Indices(torch.Tensor?[] tensors) => new(Kind.OptionalTensorList, 0, tensors, tensors.Length);

    /// <summary>How many bytes of scratch memory <see cref="Write"/> needs beside the value itself.</summary>
    internal int ScratchBytes => Owner is null ? 0 : Kind switch
    {
        Kind.IntList or Kind.DoubleList or Kind.TensorList or Kind.OptionalTensorList => 8 * Count,
        Kind.String => (Count + 7) & ~7,
        Kind.Complex => 16,
        _ => 0,
    };

    /// <summary>Writes the native form; lists are copied to <paramref name="scratch"/>, which advances.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal unsafe void Write(Value* value, ref byte* scratch)
    {
        value->Kind = Kind;
        value->Count = Count;
        value->Bits = Bits;
        if (Kind >= Kind.Complex && Owner is not null)
        {
            WriteList(value, ref scratch);
        }
    }

    private unsafe void WriteList(Value* value, ref byte* scratch)
    {
        if (Kind == Kind.Generator)
        {
            return; // its handle is in Bits
        }

        value->Bits = (nint)scratch;
        switch (Owner)
        {
            case long[] integers:
                integers.CopyTo(new Span<long>(scratch, Count));
                break;
            case double[] doubles:
                doubles.CopyTo(new Span<double>(scratch, Count));
                break;
            case byte[] text:
                text.CopyTo(new Span<byte>(scratch, Count));
                break;
            case Scalar { Complex: var complex }:
                ((double*)scratch)[0] = complex.Real;
                ((double*)scratch)[1] = complex.Imaginary;
                break;
            case torch.Tensor?[] tensors:
                WriteTensors(tensors, (nint*)scratch);
                break;
        }

        scratch += ScratchBytes;
    }

    private unsafe void WriteTensors(torch.Tensor?[] tensors, nint* handles)
    {
        for (int i = 0; i < tensors.Length; i++)
        {
            if (tensors[i] is null && Kind == Kind.TensorList)
            {
                throw new ArgumentNullException(nameof(tensors), $"Tensor {i} of the list is null.");
            }

            handles[i] = tensors[i]?.Handle ?? 0;
        }
    }
}
