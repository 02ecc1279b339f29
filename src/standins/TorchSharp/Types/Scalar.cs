using System.Numerics;
using TorchSharp.Binding;

namespace TorchSharp;

/// <summary>A number with libtorch's idea of its type: integer, floating, truth value or complex.</summary>
public sealed class Scalar : IDisposable
{
    private readonly Kind _kind;
    private readonly long _bits;
    private bool _disposed;

    internal Scalar(long value) => (_kind, _bits) = (Kind.Int, value);

    internal Scalar(bool value) => (_kind, _bits) = (Kind.Bool, value ? 1 : 0);

    internal Scalar(double value) => (_kind, _bits) = (Kind.Double, BitConverter.DoubleToInt64Bits(value));

    internal Scalar(Complex value) => (_kind, Complex) = (Kind.Complex, value);

    /// <summary>The type, which is one of Int64, Float64, Bool and ComplexFloat64.</summary>
    public torch.ScalarType Type => Kind switch
    {
        Kind.Int => torch.ScalarType.Int64,
        Kind.Bool => torch.ScalarType.Bool,
        Kind.Complex => torch.ScalarType.ComplexFloat64,
        _ => torch.ScalarType.Float64,
    };

    internal Kind Kind => _disposed ? throw new InvalidOperationException("Scalar invalid -- empty handle.") : _kind;

    internal long Bits => _bits;

    internal Complex Complex { get; }

    /// <summary>The value as a double, whatever its type.</summary>
    internal double AsDouble => Kind switch
    {
        Kind.Double => BitConverter.Int64BitsToDouble(_bits),
        Kind.Complex => Complex.Real,
        _ => _bits,
    };

    /// <summary>The value as an integer, cut towards zero.</summary>
    internal long AsInteger => Kind is Kind.Int or Kind.Bool ? _bits : (long)AsDouble;

    /// <summary>Marks the number as used up: a later use of it throws.</summary>
    public void Dispose() => _disposed = true;

    public static implicit operator Scalar(byte value) => new((long)value);

    public static implicit operator Scalar(sbyte value) => new((long)value);

    public static implicit operator Scalar(short value) => new((long)value);

    public static implicit operator Scalar(int value) => new((long)value);

    public static implicit operator Scalar(long value) => new(value);

    public static implicit operator Scalar(Half value) => new((double)value);

    public static implicit operator Scalar(float value) => new((double)value);

    public static implicit operator Scalar(double value) => new(value);

    public static implicit operator Scalar(bool value) => new(value);

    public static implicit operator Scalar((float, float) value) => new(new Complex(value.Item1, value.Item2));

    public static implicit operator Scalar(Complex value) => new(value);
}

/// <summary>Numbers to scalars and back.</summary>
public static class ScalarExtensionMethods
{
    public static Scalar ToScalar(this byte value) => value;

    public static Scalar ToScalar(this sbyte value) => value;

    public static Scalar ToScalar(this short value) => value;

    public static Scalar ToScalar(this int value) => value;

    public static Scalar ToScalar(this long value) => value;

    public static Scalar ToScalar(this float value) => value;

    public static Scalar ToScalar(this double value) => value;

    public static Scalar ToScalar(this bool value) => value;

    public static Scalar ToScalar(this Half value) => value;

    public static Scalar ToScalar(this (float, float) value) => value;

    public static Scalar ToScalar(this Complex value) => value;

    public static float ToSingle(this Scalar value) => (float)value.AsDouble;

    public static double ToDouble(this Scalar value) => value.AsDouble;

    public static Half ToHalf(this Scalar value) => (Half)value.AsDouble;

    public static sbyte ToSByte(this Scalar value) => (sbyte)value.AsInteger;

    public static byte ToByte(this Scalar value) => (byte)value.AsInteger;

    public static short ToInt16(this Scalar value) => (short)value.AsInteger;

    public static int ToInt32(this Scalar value) => (int)value.AsInteger;

    public static long ToInt64(this Scalar value) => value.AsInteger;

    public static bool ToBoolean(this Scalar value) => value.AsDouble != 0;

    public static Complex ToComplexFloat64(this Scalar value) =>
        value.Kind == Kind.Complex ? value.Complex : new Complex(value.AsDouble, 0);

    public static (float Real, float Imaginary) ToComplexFloat32(this Scalar value)
    {
        Complex complex = value.ToComplexFloat64();
        return ((float)complex.Real, (float)complex.Imaginary);
    }
}
