using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    // Other shapes of the same elements. Most share memory with their source, as libtorch's do.
    public partial class Tensor
    {
        public Tensor view(params long[] shape) => Ops.view.Call(this, shape);
        public Tensor view_as(Tensor other) => Ops.view_as.Of(this, other);
        public Tensor view_as_complex() => Ops.view_as_complex.Of(this);
        public Tensor view_as_real() => Ops.view_as_real.Of(this);
        public Tensor reshape(params long[] shape) => Ops.reshape.Call(this, shape);
        public Tensor flatten(long start_dim = 0, long end_dim = -1) => Ops.flatten__using_ints.Call(this, start_dim, end_dim);
        public Tensor unflatten(long dim, params long[] sizes) => Ops.unflatten__int.Call(this, dim, sizes);
        public Tensor unflatten(long dim, Size sizes) => unflatten(dim, sizes.Shape);
        public Tensor ravel() => Ops.ravel.Of(this);
        public Tensor contiguous() => Ops.contiguous.Of(this);
        public Tensor t() => Ops.t.Of(this);
        public Tensor transpose(long dim0, long dim1) => Ops.transpose__int.Call(this, dim0, dim1);
        public Tensor transpose_(long dim0, long dim1) => Ops.transpose_.InPlace(this, dim0, dim1);
        public Tensor swapaxes(long dim0, long dim1) => transpose(dim0, dim1);
        public Tensor swapdims(long dim0, long dim1) => transpose(dim0, dim1);
        public Tensor permute(params long[] permutation) => Ops.permute.Call(this, permutation);
        public Tensor permute(IEnumerable<long> permutation) => permute(permutation.ToArray());
        public Tensor adjoint() => Ops.adjoint.Of(this);
        public Tensor movedim(long[] source, long[] destination) => Ops.movedim__intlist.Call(this, source, destination);
        public Tensor moveaxis(long[] source, long[] destination) => movedim(source, destination);
        public Tensor unsqueeze(long dim) => Ops.unsqueeze.Call(this, dim);
        public Tensor unsqueeze_(long dim) => Ops.unsqueeze_.InPlace(this, dim);
        public Tensor squeeze(long? dim = null) => dim is { } one ? Ops.squeeze__dim.Call(this, one) : Ops.squeeze.Of(this);
        public Tensor squeeze_(long? dim = null) => dim is { } one ? Ops.squeeze___dim.InPlace(this, one) : Ops.squeeze_.InPlace(this);
        public Tensor expand(long[] sizes, bool isImplicit = false) => Ops.expand.Call(this, sizes, isImplicit);
        public Tensor expand(ReadOnlySpan<long> sizes, bool isImplicit = false) => expand(sizes.ToArray(), isImplicit);
        public Tensor expand(Size sizes, bool isImplicit = false) => expand(sizes.Shape, isImplicit);
        public Tensor expand(params long[] sizes) => expand(sizes, false);
        public Tensor expand_as(Tensor other) => Ops.expand_as.Of(this, other);
        public Tensor broadcast_to(params long[] shape) => Ops.broadcast_to.Call(this, shape);
        public Tensor narrow(long dim, long start, long length) => Ops.narrow.Call(this, dim, start, length);
        public Tensor select(long dim, long index) => Ops.select__int.Call(this, dim, index);
        public Tensor slice(long dim, long start, long finish, long step) => step >= 1 ? Ops.slice__Tensor.Call(this, dim, start, finish, step) : throw new ArgumentException($"step is {step}, but it should always be positive.");
        public Tensor as_strided(long[] size, long[] strides, long storageOffset = 0) => Ops.as_strided.Call(this, size, strides, storageOffset);
        public Tensor unfold(long dimension, long size, long step) => Ops.unfold.Call(this, dimension, size, step);
        public Tensor diagonal(long offset = 0, long dim1 = 0, long dim2 = 1) => dim1 != dim2 ? Ops.diagonal.Call(this, offset, dim1, dim2) : throw new ArgumentException($"Diagonal dimensions cannot be identical {dim1}, {dim2}");
        public Tensor atleast_1d() => Ops.atleast_1d.Of(this);
        public Tensor atleast_2d() => Ops.atleast_2d.Of(this);
        public Tensor atleast_3d() => Ops.atleast_3d.Of(this);
        public Tensor[] chunk(long chunks, long dim = 0) => Ops.chunk.CallList(this, chunks, dim);
        public Tensor[] unbind(long dimension = 0) => Ops.unbind__int.CallList(this, dimension);
        public Tensor[] split(long size, int dim = 0) => Ops.split__Tensor.CallList(this, size, dim);
        public Tensor[] split(long[] sizes, long dim = 0) => Ops.split_with_sizes.CallList(this, sizes, dim);
        public Tensor[] split(ReadOnlySpan<long> sizes, long dim = 0) => split(sizes.ToArray(), dim);
        public Tensor[] split(params long[] sizes) => split(sizes, 0L);
        public Tensor[] tensor_split(long size, long dim = 0) => Ops.tensor_split__sections.CallList(this, size, dim);
        public Tensor[] tensor_split(long[] sizes, long dim = 0) => Ops.tensor_split__indices.CallList(this, sizes, dim);
        public Tensor[] tensor_split(Tensor indices, long dim = 0) => Ops.tensor_split__tensor_indices_or_sections.CallList(this, indices, dim);

        public Tensor diag(long diagonal = 0) => Ops.diag.Call(this, diagonal);
        public Tensor diag_embed(long offset = 0, long dim1 = -2, long dim2 = -1) => Ops.diag_embed.Call(this, offset, dim1, dim2);
        public Tensor diagflat(long offset = 0) => Ops.diagflat.Call(this, offset);
        public Tensor flip(params long[] dims) => Ops.flip.Call(this, dims);
        public Tensor fliplr() => Ops.fliplr.Of(this);
        public Tensor flipud() => Ops.flipud.Of(this);
        public Tensor roll(long[] shifts, long[] dims) => Ops.roll.Call(this, shifts, dims);
        public Tensor roll(long[] shifts) => roll(shifts, new long[1]);
        public Tensor roll(long shifts, long? dims = null) => roll(new[] { shifts }, dims is { } one ? new[] { one } : Array.Empty<long>());
        public Tensor roll(ReadOnlySpan<long> shifts, ReadOnlySpan<long> dims = default) => roll(shifts.ToArray(), dims.ToArray());
        public Tensor roll((long, long) shifts, (long, long) dims) => roll(new[] { shifts.Item1, shifts.Item2 }, new[] { dims.Item1, dims.Item2 });
        public Tensor rot90(long k = 1, (long, long)? dims = null) => Ops.rot90.Call(this, k, new[] { dims?.Item1 ?? 0, dims?.Item2 ?? 1 });
        public Tensor repeat(params long[] sizes) => Ops.repeat.Call(this, sizes);
        public Tensor tile(long[] reps) => Ops.tile.Call(this, reps);
        public Tensor repeat_interleave(long repeats, long? dim = null, long? output_size = null) => Ops.repeat_interleave__self_int.Call(this, repeats, dim, output_size);
        public Tensor repeat_interleave(Tensor repeats, long? dim = null, long? output_size = null) => Ops.repeat_interleave__self_Tensor.Call(this, repeats, dim, output_size);
        public Tensor clone() => Ops.clone.Of(this);

        /// <summary>The dimensions in reverse.</summary>
        public Tensor T => permute(Enumerable.Range(0, (int)ndim).Reverse().Select(dim => (long)dim));
        public Tensor H => is_complex() ? transpose(0, 1).conj() : transpose(0, 1);
        public Tensor mT => Ops.mT.Of(this);
        public Tensor mH => Ops.mH.Of(this);
        public Tensor real => Ops.real.Of(this);
        public Tensor imag => Ops.imag.Of(this);
    }
}
