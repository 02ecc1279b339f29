using System.Collections;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>A shape: lengths of dimensions, outermost first.</summary>
    public struct Size : IEnumerable<long>
    {
        public static Size Empty = new(Array.Empty<long>());

        private readonly long[] _shape;

        public Size(long[] shape) => _shape = (long[])shape.Clone();

        public Size(int[] shape) => _shape = Array.ConvertAll(shape, length => (long)length);

        public Size(IEnumerable<long> shape) => _shape = shape.ToArray();

        public Size(long size) => _shape = [size];

        public Size(int size) => _shape = [size];

        public Size((long, long) size) => _shape = [size.Item1, size.Item2];

        public Size((long, long, long) size) => _shape = [size.Item1, size.Item2, size.Item3];

        public Size((long, long, long, long) size) => _shape = [size.Item1, size.Item2, size.Item3, size.Item4];

        public readonly int Length => Shape.Length;

        public readonly bool IsEmpty => Length == 0;

        public readonly bool IsScalar => Length == 0;

        public readonly long[] Shape => _shape ?? [];

        public readonly long this[int idx] => Shape[idx];

        public readonly long this[long idx] => Shape[idx];

        public readonly long numel() => Shape.Aggregate(1L, (product, length) => product * length);

        public readonly IEnumerable<long> Take(int i) => Shape.Take(i);

        /// <summary>The lengths from <paramref name="first"/> up to, not with, <paramref name="next"/>; a negative one counts from the end.</summary>
        public readonly Size Slice(int first, int next) => new(Shape[first..(next < 0 ? Length + next : next)]);

        public readonly IEnumerator<long> GetEnumerator() => ((IEnumerable<long>)Shape).GetEnumerator();

        readonly IEnumerator IEnumerable.GetEnumerator() => Shape.GetEnumerator();

        public override readonly bool Equals(object? obj) => obj is Size size && Shape.SequenceEqual(size.Shape);

        public override readonly int GetHashCode() => Shape.Aggregate(17, (hash, length) => HashCode.Combine(hash, length));

        /// <summary>Whether the two share one array, as in the package; <see cref="Equals(object)"/> compares lengths.</summary>
        public static bool operator ==(Size left, Size right) => ReferenceEquals(left.Shape, right.Shape);

        public static bool operator !=(Size left, Size right) => !(left == right);

        public static Size operator +(Size left, Size right) => new(left.Shape.Concat(right.Shape));

        public static Size operator +(Size left, IEnumerable<long> right) => new(left.Shape.Concat(right));

        public static implicit operator Size(long size) => new(size);

        public static implicit operator Size(long[] size) => new(size);

        public static implicit operator Size((long, long) size) => new(size);

        public static implicit operator Size((long, long, long) size) => new(size);

        public static implicit operator Size((long, long, long, long) size) => new(size);
    }
}
