using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Evaluation.Measures;

/// <summary>A forward pass over one document that stops before the attention of each layer.</summary>
internal sealed class AttentionTrace : IDisposable
{
    private readonly LlamaForCausalLM model;
    private readonly AttentionPlans plans;
    private readonly string suffix;
    private readonly Tensor x; // [1, T, C], in the caller's scope

    /// <summary>Embeds the tokens.</summary>
    /// <param name="model">The network.</param>
    /// <param name="methods">The position method of each layer.</param>
    /// <param name="tokens">[T] token ids.</param>
    /// <param name="suffix">Of the names of its buffers: two traces side by side need two.</param>
    public AttentionTrace(LlamaForCausalLM model, LayerPlan methods, int[] tokens, string suffix = "")
    {
        (this.model, this.suffix) = (model, suffix);
        plans = AttentionPlans.Create(methods, TokenPositions.Sequential(tokens.Length), model.Config, model.Device);
        x = model.Embed(tensor(tokens, ScalarType.Int64).to(model.Device).view(1, -1));
    }

    /// <summary>
    /// A layer's plan, its queries [1, H, T, D] and its keys [1, K, T, D], neither encoded. They hold until this trace enters the
    /// next layer.
    /// </summary>
    public (AttentionPlan Plan, Tensor Queries, Tensor Keys) Enter(int layer)
    {
        var rows = x.flatten(0, 1); // [T, C]
        var heads = LayerHeads.Take(model.Workspace, suffix, model.Config, rows);
        model.Layers[layer].Project(rows, heads, new RowEncoding(null, (int)rows.shape[0], model.Config.HeadDim), model.Workspace);
        var (queries, keys, _) = heads.Split(batch: 1, model.Config.HeadDim);
        return (plans[layer], queries, keys);
    }

    /// <summary>Goes on to the next layer.</summary>
    public void Leave(int layer) => model.Layers[layer].Forward(x, plans[layer], null, model.Workspace);

    /// <inheritdoc/>
    public void Dispose() => plans.Dispose();
}
