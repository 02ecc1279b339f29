using static TorchSharp.torch;

namespace CutoffLen.Training.Optimizers;

/// <summary>Plain gradient descent without momentum, with decoupled weight decay: no state at all.</summary>
public sealed class Sgd(FlatParameters parameters, double weightDecay, bool inHostMemory = false)
    : FlatOptimizer(parameters, weightDecay, inHostMemory)
{
    private protected override void Update(Tensor weights, Tensor gradient, double rate, double decay, Func<Tensor, Tensor> slice) =>
        weights.mul_(decay).add_(gradient, -rate);
}
