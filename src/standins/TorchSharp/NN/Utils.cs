using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class utils
        {
            /// <summary>
            /// Scales all gradients by one factor, in place, so that their common norm is at most <paramref name="max_norm"/>.
            /// Returns the norm before; parameters without a gradient don't count.
            /// </summary>
            public static double clip_grad_norm_(IEnumerable<Parameter> tensors, double max_norm, double norm_type = 2)
            {
                using var scope = NewDisposeScope();
                using var gradientsOff = no_grad();
                var gradients = tensors.Select(parameter => parameter.grad).OfType<Tensor>().ToList();
                if (gradients.Count == 0)
                    return 0;
                var norms = stack([.. gradients.Select(gradient => gradient.norm((float)norm_type))]);
                var total = norms.norm((float)norm_type);
                var factor = (max_norm / (total + 1e-6)).clamp_max(1);
                foreach (var gradient in gradients)
                    gradient.mul_(factor);
                return total.to(ScalarType.Float64).item<double>();
            }
        }
    }
}
