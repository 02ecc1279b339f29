using CutoffLen.Training;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Runs.Check;

/// <summary>The reference of a model with low-rank adapters: a side branch of each adapted projection, with the model's dropout.</summary>
/// <param name="model">Has the adapters.</param>
/// <param name="weights">The network's weights.</param>
internal sealed class AdaptedReference(TrainableModel model, IEnumerable<(string Name, Tensor Tensor)> weights) : DenseReference(
    model.Network.Config,
    weights.Concat(model.Parameters.Names.Select(name => (Name: name, Tensor: model.Parameters.View(name)))).DistinctBy(weight => weight.Name))
{
    private readonly LoraAdapters adapters = model.Adapters!;
    private readonly List<string> adapted = [.. model.Adapters!.Tensors.TargetModules.Select(module => module.Name)];

    /// <inheritdoc/>
    protected override Tensor Embed(Tensor tokens)
    {
        const string name = "model.embed_tokens";
        return adapted.Contains(name)
            ? base.Embed(tokens) + (Weight(name + ".lora_embedding_A").index_select(1, tokens).t().matmul(Weight(name + ".lora_embedding_B").t()) * Kept(adapters.Config.Scale))
            : base.Embed(tokens);
    }

    /// <inheritdoc/>
    protected override Tensor Head(Tensor hidden) => Adapted("lm_head", hidden, base.Head(hidden));

    /// <inheritdoc/>
    protected override Tensor Linear(string name, Tensor x) => Adapted(name, x, base.Linear(name, x));

    private Tensor Adapted(string name, Tensor x, Tensor output)
    {
        var number = adapted.IndexOf(name);
        if (number < 0)
        {
            return output;
        }

        var dropped = adapters.Dropout.Apply(x.flatten(0, 1), number, 0).view_as(x);
        return output + (linear(linear(dropped, Weight(name + ".lora_A.weight")), Weight(name + ".lora_B.weight")) * Kept(adapters.Config.Scale));
    }
}
