using System.Collections;
using static TorchSharp.torch;

namespace TorchSharp.Utils;

/// <summary>The elements of a CPU tensor in the order of its dimensions, read and written in place.</summary>
public sealed unsafe class TensorAccessor<T> : IDisposable, IEnumerable<T>
    where T : unmanaged
{
    private readonly long[] _shape;
    private readonly long[] _strides;
    private readonly bool _contiguous;
    private Tensor? _tensor; // keeps the memory alive
    private T* _data;

    internal TensorAccessor(Tensor tensor)
    {
        RequireCpu(tensor);
        _tensor = tensor;
        _data = (T*)tensor.Data;
        _shape = tensor.shape;
        _strides = tensor.stride();
        _contiguous = tensor.is_contiguous();
    }

    public long Count => _tensor is null ? 0 : _tensor.numel();

    public bool IsReadOnly => false;

    public T this[params long[] indices]
    {
        get => _data[Offset(indices)];
        set => _data[Offset(indices)] = value;
    }

    public static bool operator ==(TensorAccessor<T> left, TensorAccessor<T> right) => left.SequenceEqual(right);

    public static bool operator !=(TensorAccessor<T> left, TensorAccessor<T> right) => !left.SequenceEqual(right);

    public T[] ToArray()
    {
        T[] result = new T[Count];
        if (result.Length > 0)
        {
            CopyTo(result);
        }

        return result;
    }

    /// <summary>An array with the tensor's dimensions; one element for a tensor without any.</summary>
    public Array ToNDArray()
    {
        if (_shape.Length == 0)
        {
            return ToArray();
        }

        Array array = Array.CreateInstance(typeof(T), _shape);
        T[] flat = ToArray();
        if (flat.Length > 0)
        {
            Buffer.BlockCopy(flat, 0, array, 0, flat.Length * sizeof(T));
        }

        return array;
    }

    public void CopyTo(T[] array, int arrayIndex = 0, long tensorIndex = 0) => CopyTo(array.AsSpan(), arrayIndex, tensorIndex);

    /// <summary>Copies elements from the <paramref name="tensorIndex"/>-th on, as many as fit.</summary>
    public void CopyTo(Span<T> array, int arrayIndex = 0, long tensorIndex = 0)
    {
        int count = Overlap(array.Length, arrayIndex, tensorIndex);
        if (_contiguous)
        {
            new Span<T>(_data + tensorIndex, count).CopyTo(array[arrayIndex..]);
            return;
        }

        for (int i = 0; i < count; i++)
        {
            array[arrayIndex + i] = _data[Offset(tensorIndex + i)];
        }
    }

    public void CopyFrom(T[] array, int arrayIndex = 0, long tensorIndex = 0) =>
        CopyFrom(new ReadOnlySpan<T>(array), arrayIndex, tensorIndex);

    public void CopyFrom(ReadOnlySpan<T> array, int arrayIndex = 0, long tensorIndex = 0)
    {
        int count = Overlap(array.Length, arrayIndex, tensorIndex);
        if (_contiguous)
        {
            array.Slice(arrayIndex, count).CopyTo(new Span<T>(_data + tensorIndex, count));
            return;
        }

        for (int i = 0; i < count; i++)
        {
            _data[Offset(tensorIndex + i)] = array[arrayIndex + i];
        }
    }

    public IEnumerator<T> GetEnumerator()
    {
        for (long i = 0; i < Count; i++)
        {
            yield return ElementAt(i);
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public override bool Equals(object? obj) => obj is TensorAccessor<T> other && this == other;

    public override int GetHashCode() => base.GetHashCode();

    /// <summary>Lets go of the tensor, which lives on.</summary>
    public void Dispose()
    {
        _tensor = null;
        _data = null;
    }

    internal static T ReadItemAt(Tensor tensor, long index)
    {
        RequireCpu(tensor);
        tensor.ValidateType(typeof(T));
        TensorAccessor<T> accessor = new(tensor);
        return accessor._data[accessor.Offset(accessor.InRange(index))];
    }

    private static void RequireCpu(Tensor tensor)
    {
        if (!tensor.is_cpu())
        {
            throw new InvalidOperationException(
                "Reading data from non-CPU memory is not supported. Move or copy the tensor to the cpu before reading.");
        }
    }

    private T ElementAt(long index) => _data[Offset(index)];

    private long InRange(long index) => index >= 0 && index < Count
        ? index
        : throw new ArgumentOutOfRangeException(nameof(index), $"{index} in a collection of {Count} elements.");

    private int Overlap(int length, int arrayIndex, long tensorIndex) =>
        (int)Math.Min(Math.Max(0, length - arrayIndex), Count - InRange(tensorIndex));

    private long Offset(long[] indices)
    {
        if (indices.Length == 1)
        {
            return indices[0] < Count ? Offset(InRange(indices[0])) : throw new IndexOutOfRangeException();
        }

        ObjectDisposedException.ThrowIf(_tensor is null or { IsInvalid: true }, this);
        long offset = 0;
        for (int i = 0; i < _shape.Length; i++)
        {
            if (indices[i] < 0 || indices[i] >= _shape[i])
            {
                throw new IndexOutOfRangeException($"{indices[i]} >= {_shape[i]} in dimension {i}.");
            }

            offset += indices[i] * _strides[i];
        }

        return offset;
    }

    /// <summary>The place in memory of the <paramref name="index"/>-th element in the order of the dimensions.</summary>
    private long Offset(long index)
    {
        if (_contiguous)
        {
            return index;
        }

        long offset = 0;
        for (int i = _shape.Length - 1; i >= 0; i--)
        {
            (index, long position) = Math.DivRem(index, _shape[i]);
            offset += position * _strides[i];
        }

        return offset;
    }
}
