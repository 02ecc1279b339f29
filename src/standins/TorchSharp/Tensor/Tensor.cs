using System.Runtime.CompilerServices;
using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>
    /// A libtorch tensor. It owns one native reference, which Dispose, its scope's end or its finalizer gives back.
    /// </summary>
    public partial class Tensor : IDisposable
    {
        private static long _totalCount;
        private static long _peakCount;

        private nint _handle;

        internal Tensor(nint handle, bool register = true)
        {
            _handle = handle;
            long total = Interlocked.Increment(ref _totalCount);
            if (total > _peakCount)
            {
                _peakCount = total;
            }

            if (register)
            {
                DisposeScopeManager.OfThread.Register(this);
            }
        }

        /// <summary>Gives the native reference back; nobody else can.</summary>
        ~Tensor() => Dispose(false);

        /// <summary>Tensors alive in the process, as managed objects.</summary>
        public static long TotalCount => _totalCount;

        public static long PeakCount => _peakCount;

        /// <summary>The native tensor; throws when this tensor was disposed.</summary>
        public nint Handle
        {
            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            get => _handle != 0 ? _handle : throw Invalid();
        }

        /// <summary>Whether the tensor was disposed.</summary>
        public bool IsInvalid => _handle == 0;

        /// <summary>A name for people to see; libtorch knows nothing of it.</summary>
        public string? name { get; set; }

        public long Dimensions => Read(Native.binding_dim(Handle));

        public long ndim => Dimensions;

        public long NumberOfElements => Read(Native.binding_numel(Handle));

        /// <summary>Bytes of one element.</summary>
        public long ElementSize => Read(Native.binding_element_size(Handle));

        public ScalarType dtype => (ScalarType)Read(Native.binding_dtype(Handle));

        public long[] shape => size();

        public DeviceType device_type => (DeviceType)(int)Read(Native.binding_device(Handle));

        public int device_index => (int)(Read(Native.binding_device(Handle)) >> 32);

        public Device device => device_type == DeviceType.CPU ? CPU : new Device(device_type, device_index);

        public bool is_cuda => device_type == DeviceType.CUDA;

        public bool is_meta => device_type == DeviceType.META;

        public bool is_sparse => Read(Native.binding_is_sparse(Handle)) != 0;

        internal DisposeScope? OwningDisposeScope { get; set; }

        /// <summary>The place in the owning scope's list.</summary>
        internal int ScopeSlot { get; set; }

        public long dim() => Dimensions;

        public long numel() => NumberOfElements;

        public long element_size() => ElementSize;

        public bool is_cpu() => device_type == DeviceType.CPU;

        public bool is_contiguous() => Native.Check(Read(Native.binding_is_contiguous(Handle))) != 0;

        public bool is_pinned() => Native.Check(Read(Native.binding_is_pinned(Handle))) != 0;

        public bool is_floating_point() => torch.is_floating_point(dtype);

        public bool is_integral() => torch.is_integral(dtype);

        public bool is_complex() => torch.is_complex(dtype);

        /// <summary>Elements between the start of the storage and this tensor's first one.</summary>
        public long storage_offset() => Read(Native.binding_storage_offset(Handle));

        public unsafe long[] size()
        {
            long[] sizes = new long[Dimensions];
            fixed (long* first = sizes)
            {
                Native.Check(Read(Native.binding_sizes(Handle, first)));
            }

            return sizes;
        }

        public long size(int dim) => At(size(), dim);

        /// <summary>Elements between neighbours along each dimension.</summary>
        public unsafe long[] stride()
        {
            long[] strides = new long[Dimensions];
            fixed (long* first = strides)
            {
                Native.Check(Read(Native.binding_strides(Handle, first)));
            }

            return strides;
        }

        public long stride(int dim) => At(stride(), dim);

        /// <summary>Another managed tensor for the same native one; each is disposed by itself.</summary>
        public Tensor alias() => new(Read(Native.binding_alias(Handle)));

        /// <summary>Same shape and same elements; element by element it is <c>eq</c>.</summary>
        public bool Equals(Tensor target) => target is not null && Ops.equal.CallValue(this, target).Bits != 0;

        public override bool Equals(object? obj) => obj is Tensor tensor && Equals(tensor);

        public override int GetHashCode() => RuntimeHelpers.GetHashCode(this);

        /// <summary>Shape, element type and device.</summary>
        public override string ToString() => $"[{string.Join("x", shape)}], type = {dtype}, device = {device}";

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            if (_handle != 0)
            {
                DisposeScopeManager.OfThread.Disposing(this);
                Native.binding_release(MoveHandle());
            }
        }

        /// <summary>Gives the tensor to the scope around its own.</summary>
        public Tensor MoveToOuterDisposeScope()
        {
            OwningDisposeScope?.MoveToOuter(this);
            return this;
        }

        /// <summary>Takes the tensor out of all scopes: from now on its holder has to dispose it.</summary>
        public Tensor DetachFromDisposeScope()
        {
            OwningDisposeScope?.Detach(this);
            return this;
        }

        public Tensor MoveToOtherDisposeScope(Tensor other) => MoveToOtherDisposeScope(other.OwningDisposeScope);

        public Tensor MoveToOtherDisposeScope(DisposeScope? other)
        {
            if (OwningDisposeScope is { } owner)
            {
                owner.MoveToOther(other, this);
            }
            else
            {
                other?.Attach(this);
            }

            return this;
        }

        /// <summary>Takes the native reference away: this object is invalid afterwards, the caller owns the reference.</summary>
        internal nint MoveHandle()
        {
            nint handle = Handle;
            Interlocked.Decrement(ref _totalCount);
            _handle = 0;
            return handle;
        }

        /// <summary>Keeps this tensor from its finalizer until a native call that reads it has returned.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private T Read<T>(T result)
        {
            GC.KeepAlive(this);
            return result;
        }

        private static long At(long[] lengths, int dim)
        {
            int index = dim < 0 ? dim + lengths.Length : dim;
            return index >= 0 && index < lengths.Length ? lengths[index] : throw new System.Runtime.InteropServices.ExternalException(
                $"Dimension out of range (expected to be in range of [{-lengths.Length}, {lengths.Length - 1}], but got {dim})");
        }

        private static InvalidOperationException Invalid() => new("Tensor invalid -- empty handle.");
    }
}
