namespace TorchSharp;

public static partial class torch
{
    /// <summary>One entry of an indexer: a position, a slice, a new axis, "the rest", a truth value or a tensor.</summary>
    public struct TensorIndex
    {
        internal enum Form
        {
            NewAxis, Single, Ellipsis, Bool, Tensor, Slice,
        }

        public static TensorIndex Ellipsis = new() { Kind = Form.Ellipsis };

        public static TensorIndex None = new() { Kind = Form.NewAxis };

        public static TensorIndex Null = new() { Kind = Form.NewAxis };

        public static TensorIndex Colon = Slice();

        internal Form Kind;
        internal long? Start; // of a slice; the position of a single; 0 or 1 of a truth value
        internal long? Stop;
        internal long? Step;
        internal Tensor? Values;

        public static TensorIndex Slice(long? start = null, long? stop = null, long? step = null) =>
            new() { Kind = Form.Slice, Start = start, Stop = stop, Step = step };

        public static TensorIndex Slice((int? start, int? end) range) => Slice(range.start, range.end, null);

        public static TensorIndex Slice(Range range) => Slice(
            range.Start.IsFromEnd ? -range.Start.Value : range.Start.Value,
            !range.End.IsFromEnd ? range.End.Value : range.End.Value == 0 ? null : -range.End.Value,
            null);

        public static TensorIndex Bool(bool value) => new() { Kind = Form.Bool, Start = value ? 1 : 0 };

        public static TensorIndex Single(long? index) => new() { Kind = Form.Single, Start = index };

        public static TensorIndex Tensor(Tensor tensor) => new() { Kind = Form.Tensor, Values = tensor };

        public static implicit operator TensorIndex(long value) => Single(value);

        public static implicit operator TensorIndex((int? start, int? end) range) => Slice(range);

        public static implicit operator TensorIndex(Range range) => Slice(range);

        public static implicit operator TensorIndex(Index index) => Single(index.IsFromEnd ? -index.Value : index.Value);

        /// <summary>Only steers overload resolution, as in the package; never to be called.</summary>
        public static implicit operator Tensor(TensorIndex value) =>
            throw new InvalidOperationException("Should not be called.");
    }
}
