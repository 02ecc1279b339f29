using CutoffLen.Hardware;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>What the forward pass keeps of the dense parts of a layer, beside the layer's input and attention's result.</summary>
public enum Recompute
{
    /// <summary>All wide activations: fastest.</summary>
    None,

    /// <summary>All but those of the MLP, which are computed again.</summary>
    Mlp,

    /// <summary>Nothing; every activation but attention's result is computed again.</summary>
    Layers,
}

/// <summary>
/// Backpropagation without autograd. Each layer has its own backward pass (<see cref="LlamaDecoderLayer"/>), as attention
/// (<see cref="AttentionPlan.Backward"/>) and the head (<see cref="HeadLoss"/>) have; the chain rule between them is applied
/// here. Memory is linear in the length for every position method. Gradients are added to those that the parameters already
/// hold.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="recompute">What is kept of the dense parts. Every choice gives the same bits.</param>
/// <param name="embeddingGradient">[V, C] what the embedding's gradient is added to; null when it is not trained.</param>
/// <param name="headGradient">[V, C] the same for the head (the embedding's own where they are tied).</param>
/// <param name="offloadDevice">Where the layers' inputs are offloaded to until their backward pass; null for no offloading.</param>
public sealed class LayerwiseBackprop(
    LlamaForCausalLM model, Recompute recompute, Tensor? embeddingGradient, Tensor? headGradient, Device? offloadDevice = null)
{
    private readonly Workspace workspace = model.Workspace;

    /// <summary>Forward and backward of one micro-batch.</summary>
    /// <param name="tokens">[B, T] int64.</param>
    /// <param name="targets">[B, T] int64, the token after each, -100 where none is learned.</param>
    /// <param name="plans">How attention sees positions, by layer.</param>
    /// <param name="scale">Factor of the summed loss: one over the target tokens of the whole accumulated batch.</param>
    /// <param name="angles">
    /// [T, D/2] float32 what the gradients of the tokens' rotation angles are added to, over rows, heads and layers; null for none. All
    /// layers then have one rotation of queries and keys.
    /// </param>
    /// <returns>The summed loss in nats, a float64 scalar.</returns>
    public Tensor Run(Tensor tokens, Tensor targets, AttentionPlans plans, double scale, Tensor? angles = null)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var (batch, ids) = (tokens.shape[0], tokens.flatten()); // [N]
        var (layers, last) = Forward(ids, batch, plans);
        var hidden = Rows("hidden", ids);
        var sum = Head(last, targets.flatten(), scale, hidden);

        var gradient = Rows("stream gradient", ids).zero_();
        foreach (var chunk in TokenRange.Chunks(last))
        {
            using var step = NewDisposeScope();
            model.FinalNorm.Forward(chunk.Of(last), workspace);
            model.FinalNorm.Backward(chunk.Of(hidden), chunk.Of(last), chunk.Of(gradient), workspace);
        }

        for (var n = layers.Length - 1; n >= 0; n--)
        {
            Backward(model.Layers[n], layers[n], batch, plans[n], gradient, angles);
        }

        if (embeddingGradient is not null)
        {
            Kernels.EmbeddingBackward(gradient, ids, embeddingGradient);
        }

        model.EmbeddingAdapter?.AddBackward(ids, gradient);
        return sum.MoveToOuterDisposeScope();
    }

    /// <summary>What each layer keeps, and the last residual stream [N, C].</summary>
    private (LayerActivations[] Layers, Tensor Last) Forward(Tensor ids, long batch, AttentionPlans plans)
    {
        var layers = new LayerActivations[model.Layers.Count];
        var stream = Rows("stream.0", ids);
        model.Embed(ids, stream);
        for (var n = 0; n < layers.Length; n++)
        {
            var (layer, plan) = (model.Layers[n], plans[n]);
            var heads = LayerHeads.Take(workspace, recompute == Recompute.Layers ? "" : $".{n}", model.Config, stream);
            layer.Project(stream, heads, Encoding(ids.shape[0] / batch, plan), workspace);
            var (attended, kept) = Attend(heads, batch, plan);
            var dense = recompute == Recompute.Layers
                ? null
                : DenseActivations.Take(workspace, $".{n}", model.Config, stream, withMlp: recompute == Recompute.None);
            var next = Rows(offloadDevice is null ? $"stream.{n + 1}" : $"stream.{(n + 1) % 2}", ids);
            layer.Finish(stream, attended, next, dense, workspace);
            layers[n] = new LayerActivations(Offloaded(stream), Offloaded(attended), kept, heads, dense);
            if (offloadDevice is not null)
            {
                attended.Dispose();
            }

            stream = next;
        }

        return (layers, stream);
    }

    /// <summary>Attention's result [N, H*D], and what its backward pass needs beside it.</summary>
    private (Tensor Attended, Tensor[] Kept) Attend(LayerHeads heads, long batch, AttentionPlan plan)
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = heads.Split(batch, model.Config.HeadDim);
        var (attended, kept) = plan.Attend(q, k, v, keepLogSumExp: true, areEncoded: plan.SharedEncoding is not null);
        return (LayerHeads.Join(attended).MoveToOuterDisposeScope(), [.. kept.Select(tensor => tensor.MoveToOuterDisposeScope())]);
    }

    /// <summary>The summed loss; the gradient of the hidden states is left in <paramref name="hidden"/>.</summary>
    private Tensor Head(Tensor last, Tensor targets, double scale, Tensor hidden)
    {
        foreach (var chunk in TokenRange.Chunks(last))
        {
            using var scope = NewDisposeScope();
            model.FinalNorm.Forward(chunk.Of(last), chunk.Of(hidden), workspace);
        }

        return HeadLoss.ForwardBackward(model, hidden, targets, scale, headGradient, hidden);
    }

    /// <summary>Takes the stream's gradient [N, C] from after a layer to before it, in place.</summary>
    private void Backward(LlamaDecoderLayer layer, LayerActivations kept, long batch, AttentionPlan plan, Tensor gradient, Tensor? angles)
    {
        using var scope = NewDisposeScope();
        var (stream, attended) = (Loaded(kept.Stream), Loaded(kept.Attended)); // [N, C], [N, H*D]
        var encoding = Encoding(stream.shape[0] / batch, plan);
        if (recompute == Recompute.Layers)
        {
            layer.Project(stream, kept.Heads, encoding, workspace);
        }

        var dAttended = workspace.Take("attended gradient", attended.dtype, attended.device, attended.shape);
        layer.FinishBackward(stream, attended, kept.Dense, gradient, dAttended, workspace);
        var headDim = model.Config.HeadDim;
        var (q, k, v) = kept.Heads.Split(batch, headDim);
        var (dq, dk, dv) = plan.Backward(
            q, k, v, LayerHeads.Split(attended, batch, headDim), kept.OfAttention, LayerHeads.Split(dAttended, batch, headDim), encoding.Encoding is not null);
        if (angles is not null)
        {
            AddAngles(angles, q, dq);
            AddAngles(angles, k, dk);
        }

        layer.ProjectBackward(stream, new LayerHeads(LayerHeads.Join(dq), LayerHeads.Join(dk), LayerHeads.Join(dv)), encoding, gradient, workspace);
        kept.Dispose();
    }

    /// <summary>Adds the gradients of the angles by which vectors [B, H, T, D] were rotated, from those of the vectors.</summary>
    private static void AddAngles(Tensor angles, Tensor rotated, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var half = angles.shape[1];
        var (x, dx) = (rotated.to(ScalarType.Float32), gradient.to(ScalarType.Float32));
        // d (x1, x2) / d angle = (-x2, x1)
        var each = dx.narrow(-1, half, half) * x.narrow(-1, 0, half); // [B, H, T, D/2]
        each.addcmul_(dx.narrow(-1, 0, half), x.narrow(-1, half, half), Kept(-1));
        angles.add_(each.sum([0, 1]));
    }

    private RowEncoding Encoding(long length, AttentionPlan plan) => new(plan.SharedEncoding, length, model.Config.HeadDim);

    private Tensor Rows(string name, Tensor ids) => workspace.Take(name, model.Dtype, model.Device, ids.shape[0], model.Config.HiddenSize);

    private Tensor Offloaded(Tensor x) => offloadDevice is null ? x : x.to(offloadDevice, copy: true);

    private Tensor Loaded(Tensor x) => offloadDevice is null ? x : x.to(model.Device);

    /// <summary>What a layer keeps until its backward pass.</summary>
    /// <param name="Stream">[N, C] the layer's input.</param>
    /// <param name="Attended">[N, H*D] attention's result.</param>
    /// <param name="OfAttention">What attention's backward pass needs beside it.</param>
    /// <param name="Heads">Queries, keys and values; memory for them where they are computed again.</param>
    /// <param name="Dense">What the dense part after attention keeps; null where it is computed again.</param>
    private sealed record LayerActivations(Tensor Stream, Tensor Attended, Tensor[] OfAttention, LayerHeads Heads, DenseActivations? Dense) : IDisposable
    {
        public void Dispose()
        {
            Attended.Dispose();
            foreach (var tensor in OfAttention)
            {
                tensor.Dispose();
            }
        }
    }
}
