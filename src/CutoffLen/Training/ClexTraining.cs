using CutoffLen.Checkpoints;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>
/// Trains the weights of CLEX's equation (arXiv 2310.16450) with the network's. Each step has the frequencies of the current
/// weights. The backward pass gives the gradients of the rotation angles, and <see cref="ClexMethod.Backward"/> takes them
/// through the equation on the host.
/// </summary>
internal sealed class ClexTraining(TrainableModel model, ClexMethod method)
{
    private ClexMethod current = method;

    /// <summary>The position method under the current weights.</summary>
    public LayerPlan Update() => current = current.With(model.Equation!);

    /// <summary>What a micro-batch adds the gradients of its angles to.</summary>
    public Tensor Angles(MicroBatch batch) => zeros([batch.Tokens.shape[1], model.Network.Config.RotaryDim / 2], ScalarType.Float32, model.Network.Device);

    /// <summary>Adds the gradient of a micro-batch to the weights'.</summary>
    public void AddGradient(MicroBatch batch, Tensor angles)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (ids, lengths) = batch.Positions();
        var gradient = current.Backward(angles.cpu().data<float>().ToArray(), ids, lengths);
        Add(WeightFiles.ClexUp, gradient.Up);
        Add(WeightFiles.ClexDown, gradient.Down);

        void Add(string name, float[] values)
        {
            var view = model.Parameters.GradientView(name);
            view.add_(tensor(values).view(view.shape).to(view.dtype).to(view.device));
        }
    }
}
