using CutoffLen.Checkpoints.Lora;
using CutoffLen.Runs.Check;
using CutoffLen.Training;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Tests.Training;

/// <summary>The reference of a model with low-rank adapters: a side branch of each adapted projection, with the model's dropout.</summary>
internal sealed class AdaptedReference(TrainableModel model) : DenseReference(
    model.Network.Config,
    model.Weights().Concat(model.Parameters.Names.Select(name => (Name: name, Tensor: model.Parameters.View(name)))).DistinctBy(weight => weight.Name))
{
    private readonly LoraAdapters adapters = model.Adapters!;
    private readonly List<string> adapted = [.. AdapterTensors.Of(model.Network.Config, model.Adapters!.Config).TargetModules.Select(module => module.Projection)];

    protected override Tensor Linear(string name, Tensor x)
    {
        var number = adapted.IndexOf(name);
        if (number < 0)
        {
            return base.Linear(name, x);
        }

        var dropped = adapters.Dropout.Apply(x.flatten(0, 1), number, 0).view_as(x);
        var side = linear(linear(dropped, Weight(AdapterTensors.A(name))), Weight(AdapterTensors.B(name)));
        return base.Linear(name, x) + (side * adapters.Config.Scale);
    }
}
