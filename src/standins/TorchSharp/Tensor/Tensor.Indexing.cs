using System.Runtime.CompilerServices;
using TorchSharp.Binding;
using Form = TorchSharp.torch.TensorIndex.Form;

namespace TorchSharp;

public static partial class torch
{
    // Reading and writing by position, slice, new axis and tensors of positions or truth values, as libtorch's own
    // front end does it: everything but tensors makes a view, the tensors then pick from that view.
    public partial class Tensor
    {
        [IndexerName("TensorItems")]
        public Tensor this[params TensorIndex[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        [IndexerName("TensorItems")]
        public Tensor this[params Tensor[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        [IndexerName("TensorItems")]
        public Tensor this[params long[] indices]
        {
            get => At(indices);
            set => Put(value, indices);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1]
        {
            get => select(0, i1);
            set => Put(value, i1);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2]
        {
            get => At(i1, i2);
            set => Put(value, i1, i2);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3]
        {
            get => At(i1, i2, i3);
            set => Put(value, i1, i2, i3);
        }

        [IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3, long i4]
        {
            get => At(i1, i2, i3, i4);
            set => Put(value, i1, i2, i3, i4);
        }

        public Tensor index(params TensorIndex[] indices)
        {
            (Tensor view, Tensor?[] picks) = View(indices);
            return picks.Length == 0 ? view : Ops.index__Tensor.Call(view, Arg.Indices(picks));
        }

        public Tensor index(params Tensor[] indices) => index(AsIndices(indices));

        public Tensor index_put_(Tensor value, params TensorIndex[] indices) => index_put_(value, indices, false);

        public Tensor index_put_(Tensor value, params Tensor[] indices) => index_put_(value, AsIndices(indices), false);

        public Tensor index_put_(Tensor value, Tensor[] indices, bool accumulate = false) =>
            index_put_(value, AsIndices(indices), accumulate);

        public Tensor index_put_(Scalar value, params Tensor[] indices) => index_put_(value, AsIndices(indices));

        public Tensor index_put_(Scalar value, params TensorIndex[] indices)
        {
            (Tensor view, Tensor?[] picks) = View(indices);
            if (picks.Length == 0)
            {
                view.fill_(value);
            }
            else
            {
                using Tensor number = torch.full([], value, dtype, device);
                Ops.index_put_.InPlace(view, Arg.Indices(picks), number, false);
            }

            return this;
        }

        /// <summary>Writes <paramref name="value"/>, broadcast, at the places; adds to what is there when told to accumulate.</summary>
        public Tensor index_put_(Tensor value, TensorIndex[] indices, bool accumulate = false)
        {
            (Tensor view, Tensor?[] picks) = View(indices);
            if (picks.Length == 0)
            {
                view.copy_(accumulate ? view + value : WithoutLeadingOnes(value, view.ndim));
            }
            else
            {
                Ops.index_put_.InPlace(view, Arg.Indices(picks), value, accumulate);
            }

            return this;
        }

        private static TensorIndex[] AsIndices(Tensor[] indices) => Array.ConvertAll(indices, TensorIndex.Tensor);

        /// <summary>A value may have more dimensions than its place as long as the extra ones have length 1.</summary>
        private static Tensor WithoutLeadingOnes(Tensor value, long wantedDimensions)
        {
            long[] shape = value.shape;
            int extra = 0;
            while (shape.Length - extra > wantedDimensions && shape[extra] == 1)
            {
                extra++;
            }

            return extra == 0 ? value : value.view(shape[extra..]);
        }

        private Tensor At(params ReadOnlySpan<long> positions)
        {
            Tensor place = select(0, positions[0]);
            foreach (long position in positions[1..])
            {
                using Tensor outer = place;
                place = outer.select(0, position);
            }

            return place;
        }

        private void Put(Tensor value, params ReadOnlySpan<long> positions)
        {
            using Tensor place = At(positions);
            using Tensor fitting = WithoutLeadingOnes(value, place.ndim).alias();
            place.copy_(fitting);
        }

        /// <summary>The view by everything but tensors, and for each of its dimensions the tensor that picks along it.</summary>
        private (Tensor View, Tensor?[] Picks) View(TensorIndex[] indices)
        {
            Tensor view = alias();
            List<Tensor?> picks = [];
            int dim = 0;
            foreach (TensorIndex index in indices)
            {
                switch (index.Kind)
                {
                    case Form.Single:
                        view = view.select(dim, index.Start ?? throw new ArgumentException("A single index needs a position."));
                        break;
                    case Form.Slice:
                        view = view.Sliced(dim++, index);
                        break;
                    case Form.NewAxis:
                        view = view.unsqueeze(dim++);
                        break;
                    case Form.Ellipsis:
                        dim += (int)(ndim - indices.Sum(Consumed));
                        break;
                    case Form.Bool:
                        view = view.unsqueeze(dim);
                        Pick(picks, dim++, index.Start != 0 ? torch.zeros(1, ScalarType.Int64, device) : torch.empty(0, ScalarType.Int64, device));
                        break;
                    default:
                        view = view.PickedBy(index.Values!, picks, ref dim);
                        break;
                }
            }

            return (view, picks.ToArray());
        }

        private Tensor Sliced(int dim, TensorIndex index) =>
            index.Start is null && index.Stop is null && index.Step is null
                ? this
                : Ops.slice__Tensor.Call(this, dim, index.Start, index.Stop, index.Step ?? 1);

        /// <summary>A whole number without dimensions selects; any other tensor waits in the list.</summary>
        private Tensor PickedBy(Tensor values, List<Tensor?> picks, ref int dim)
        {
            if (values.ndim == 0 && values.dtype is not (ScalarType.Bool or ScalarType.Byte) && values.is_integral())
            {
                return select(dim, values.ToInt64());
            }

            Pick(picks, dim++, values);
            return this;
        }

        private static void Pick(List<Tensor?> picks, int dim, Tensor values)
        {
            while (picks.Count < dim)
            {
                picks.Add(null);
            }

            picks.Add(values);
        }

        /// <summary>How many of the tensor's dimensions an index speaks for.</summary>
        private static long Consumed(TensorIndex index) => index.Kind switch
        {
            Form.Single or Form.Slice => 1,
            Form.Tensor => index.Values!.dtype is ScalarType.Bool or ScalarType.Byte ? index.Values.ndim : 1,
            _ => 0,
        };
    }
}
