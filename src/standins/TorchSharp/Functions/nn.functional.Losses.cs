using TorchSharp.Binding;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        /// <summary>Losses as functions; a reduction is libtorch's own number.</summary>
        public static partial class functional
        {
            public static Tensor cross_entropy(Tensor input, Tensor target, Tensor? weight = null, long ignore_index = -100, nn.Reduction reduction = Reduction.Mean, double label_smoothing = 0) => Ops.cross_entropy_loss.Call(input, target, Arg.Optional(weight), (long)reduction, ignore_index, label_smoothing);
            public static Tensor nll_loss(Tensor input, Tensor target, Tensor? weight = null, nn.Reduction reduction = Reduction.Mean) => Ops.nll_loss_nd.Call(input, target, Arg.Optional(weight), (long)reduction);
            public static Tensor kl_div(Tensor input, Tensor target, bool log_target = true, nn.Reduction reduction = Reduction.Mean) => Ops.kl_div.Call(input, target, (long)reduction, log_target);
            public static Tensor mse_loss(Tensor input, Tensor target, nn.Reduction reduction = Reduction.Mean) => Ops.mse_loss.Call(input, target, (long)reduction);
            public static Tensor l1_loss(Tensor input, Tensor target, nn.Reduction reduction = Reduction.Mean) => Ops.l1_loss.Call(input, target, (long)reduction);
            public static Tensor smooth_l1_loss(Tensor input, Tensor target, nn.Reduction reduction = Reduction.Mean, double beta = 1) => Ops.smooth_l1_loss.Call(input, target, (long)reduction, beta);
            public static Tensor huber_loss(Tensor input, Tensor target, double delta = 1, nn.Reduction reduction = Reduction.Mean) => Ops.huber_loss.Call(input, target, (long)reduction, delta);
            public static Tensor binary_cross_entropy(Tensor input, Tensor target, Tensor? weight = null, nn.Reduction reduction = Reduction.Mean) => Ops.binary_cross_entropy.Call(input, target, Arg.Optional(weight), (long)reduction);
            public static Tensor binary_cross_entropy_with_logits(Tensor input, Tensor target, Tensor? weight = null, nn.Reduction reduction = Reduction.Mean, Tensor? pos_weights = null) => Ops.binary_cross_entropy_with_logits.Call(input, target, Arg.Optional(weight), Arg.Optional(pos_weights), (long)reduction);
            public static Tensor soft_margin_loss(Tensor input, Tensor target, nn.Reduction reduction = Reduction.Mean) => Ops.soft_margin_loss.Call(input, target, (long)reduction);
            public static Tensor margin_ranking_loss(Tensor input1, Tensor input2, Tensor target, double margin = 0, nn.Reduction reduction = Reduction.Mean) => Ops.margin_ranking_loss.Call(input1, input2, target, margin, (long)reduction);

        }
    }
}
