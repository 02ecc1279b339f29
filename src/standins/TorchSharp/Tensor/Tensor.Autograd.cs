using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>Whether operations on the tensor are recorded for its gradient.</summary>
        public bool requires_grad
        {
            get => Native.Check(Read(Native.binding_requires_grad(Handle))) != 0;
            set => Native.Check(Read(Native.binding_set_requires_grad(Handle, value ? 1 : 0)));
        }

        public bool is_leaf => Native.Check(Read(Native.binding_is_leaf(Handle))) != 0;

        /// <summary>The gradient that backward left here; every read makes a new managed tensor.</summary>
        public Tensor? grad
        {
            get
            {
                nint handle = Read(Native.binding_grad(Handle));
                return handle == 0 ? null : new Tensor(handle);
            }

            set
            {
                Native.Check(Read(Native.binding_set_grad(Handle, value?.Handle ?? 0)));
                GC.KeepAlive(value);
            }
        }

        public Tensor requires_grad_(bool requires_grad = true)
        {
            this.requires_grad = requires_grad;
            return this;
        }

        public Tensor with_requires_grad(bool requires_grad = true) => requires_grad_(requires_grad);

        /// <summary>Asks backward to leave a gradient on this tensor though it is no leaf.</summary>
        public void retain_grad() => Native.Check(Read(Native.binding_retain_grad(Handle)));

        public void backward() => autograd.backward([this]);

        /// <summary>
        /// Adds the gradients of this tensor to the leaves it depends on, or to <paramref name="inputs"/> alone.
        /// </summary>
        /// <param name="grad_tensors">The gradient of the loss by this tensor; may be left out for a single number.</param>
        /// <param name="retain_graph">Keep what backward needs, for another backward through it.</param>
        /// <param name="create_graph">Record the backward itself, for second derivatives.</param>
        /// <param name="inputs">The tensors whose gradients are wanted.</param>
        public void backward(IList<Tensor>? grad_tensors = null, bool retain_graph = false, bool create_graph = false, IList<Tensor>? inputs = null) =>
            autograd.backward([this], grad_tensors, retain_graph, create_graph, inputs);

        public Tensor detach() => Ops.detach.Of(this);

        public Tensor detach_() => Ops.detach_.InPlace(this);
    }
}
