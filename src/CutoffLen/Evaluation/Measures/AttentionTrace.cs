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
    private (Tensor Queries, Tensor Keys, Tensor Values) heads; // of the layer that was entered

    /// <summary>Embeds the tokens.</summary>
    /// <param name="model">The network.</param>
    /// <param name="methods">The position method of each layer.</param>
    /// <param name="tokens">[T] token ids.</param>
    /// <param name="suffix">Of the names of its buffers: two traces side by side need two.</param>
    public AttentionTrace(LlamaForCausalLM model, LayerPlan methods, int[] tokens, string suffix = "")
    {
        (this.model, this.suffix) = (model, suffix);
        plans = AttentionPlans.Create(methods, TokenPositions.Sequential(tokens.Length), model.Config, model.Device);
        Stream = model.Embed(tensor(tokens, ScalarType.Int64).to(model.Device).view(1, -1));
    }

    /// <summary>[1, T, C] the residual stream, in the scope that the trace was made in.</summary>
    public Tensor Stream { get; }

    /// <summary>
    /// A layer's plan, its queries [1, H, T, D] and its keys [1, K, T, D], neither encoded. They hold until this trace enters the
    /// next layer.
    /// </summary>
    public (AttentionPlan Plan, Tensor Queries, Tensor Keys) Enter(int layer)
    {
        var rows = Stream.flatten(0, 1); // [T, C]
        var projected = LayerHeads.Take(model.Workspace, suffix, model.Config, rows);
        model.Layers[layer].Project(rows, projected, new RowEncoding(null, (int)rows.shape[0], model.Config.HeadDim), model.Workspace);
        heads = projected.Split(batch: 1, model.Config.HeadDim);
        return (plans[layer], heads.Queries, heads.Keys);
    }

    /// <summary>Goes on to the next layer from the heads of this one.</summary>
    public void Leave(int layer)
    {
        var rows = Stream.flatten(0, 1); // [T, C]
        var attended = plans[layer].Attend(heads.Queries, heads.Keys, heads.Values);
        model.Layers[layer].Finish(rows, LayerHeads.Join(attended), rows, null, model.Workspace);
    }

    /// <inheritdoc/>
    public void Dispose() => plans.Dispose();
}
