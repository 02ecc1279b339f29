using TorchSharp.Modules;

namespace TorchSharp.Modules
{
    /// <summary>A tensor to be trained. It takes the place of the tensor it is made of, in that tensor's scope too.</summary>
    public class Parameter : torch.Tensor
    {
        public Parameter(torch.Tensor data, bool requires_grad = true)
            : base(data.with_requires_grad(requires_grad).MoveHandle(), false)
        {
            if (data.OwningDisposeScope is { } scope)
            {
                scope.Remove(data);
                scope.Add(this);
            }
        }

        internal Parameter(nint handle)
            : base(handle) { }
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            public static Parameter Parameter(Tensor data, bool requires_grad = true) => new(data, requires_grad);
        }
    }
}
