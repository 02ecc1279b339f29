using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Runs.Check;

/// <summary>What one forward and backward pass gives.</summary>
/// <param name="Logits">[B, T, V].</param>
/// <param name="Loss">The mean cross-entropy over the target tokens, in nats.</param>
/// <param name="Gradients">That of the loss for each parameter, by Hugging Face's name.</param>
internal sealed record DensePass(Tensor Logits, double Loss, IReadOnlyDictionary<string, Tensor> Gradients);

/// <summary>
/// The LLaMA network as plain formulas on the CPU, in float64 unless told otherwise: the reference for logits and gradients.
/// Attention has a full [T, T] matrix of scores, and gradients are autograd's. It shares only the position method's bands with
/// the network.
/// </summary>
internal class DenseReference
{
    private readonly LlamaConfig config;
    private readonly Dictionary<string, Tensor> weights; // leaves

    /// <summary>Copies the weights, by Hugging Face's names, into the current scope.</summary>
    public DenseReference(LlamaConfig config, IEnumerable<(string Name, Tensor Tensor)> weights, ScalarType dtype = ScalarType.Float64)
    {
        this.config = config;
        this.weights = weights.ToDictionary(weight => weight.Name, weight => weight.Tensor.detach().to(CPU).to(dtype, copy: true).requires_grad_());
    }

    /// <summary>Forward and backward of [B, T] tokens and targets, both int64; -100 where no token is predicted.</summary>
    public DensePass Run(LayerPlan layers, TokenPositions positions, Tensor tokens, Tensor targets)
    {
        using var scope = NewDisposeScope();
        var x = Embed(tokens.flatten()).view([.. tokens.shape, -1]); // [B, T, C]
        for (var n = 0; n < config.NumHiddenLayers; n++)
        {
            x = Layer($"model.layers.{n}", x, layers[n], positions);
        }

        var logits = Head(Norm("model.norm", x)); // [B, T, V]
        var loss = cross_entropy(logits.flatten(0, 1), targets.flatten());
        var gradients = autograd.grad([loss], [.. weights.Values]);
        return new DensePass(
            logits.detach().MoveToOuterDisposeScope(), loss.to(ScalarType.Float64).item<double>(),
            weights.Keys.Zip(gradients).ToDictionary(pair => pair.First, pair => pair.Second.MoveToOuterDisposeScope()));
    }

    /// <summary>
    /// Attention of queries [B, H, T, D] over keys and values [B, K, T, D] in their dtype, as an ordinary graph. Softmax runs
    /// over all bands of a query together.
    /// </summary>
    public static Tensor Attend(PositionMethod method, TokenPositions positions, IAttentionShape shape, Tensor q, Tensor k, Tensor v)
    {
        var group = shape.NumAttentionHeads / shape.NumKeyValueHeads;
        var scores = full([.. q.shape[..3], k.shape[2]], Kept(double.NegativeInfinity), q.dtype); // [B, H, T, T]
        foreach (var band in method.Bands(positions))
        {
            var keys = Encode(band.Keys, k.repeat_interleave(group, 1));
            var bandScores = Encode(band.Queries, q).matmul(keys.transpose(-1, -2)) / Kept(Math.Sqrt(shape.HeadDim));
            scores = where(Seen(band), bandScores + Bias(band, positions, q.dtype), scores);
        }

        return scores.softmax(-1).matmul(v.repeat_interleave(group, 1));
    }

    private Tensor Layer(string name, Tensor x, PositionMethod method, TokenPositions positions)
    {
        var h = Norm($"{name}.input_layernorm", x);
        var attended = Attend(method, positions, config, Heads("q_proj"), Heads("k_proj"), Heads("v_proj"));
        x = x + Linear($"{name}.self_attn.o_proj", attended.transpose(1, 2).flatten(2)); // [B, T, H*D] to [B, T, C]
        h = Norm($"{name}.post_attention_layernorm", x);
        return x + Linear($"{name}.mlp.down_proj", silu(Linear($"{name}.mlp.gate_proj", h)) * Linear($"{name}.mlp.up_proj", h));

        Tensor Heads(string projection) => // [B, H or K, T, D]
            Linear($"{name}.self_attn.{projection}", h).unflatten(2, -1, config.HeadDim).transpose(1, 2);
    }

    /// <summary>A weight or a bias, a leaf.</summary>
    protected Tensor Weight(string name) => weights[name];

    /// <summary>The rows [N, C] of tokens [N].</summary>
    protected virtual Tensor Embed(Tensor tokens) => weights[LlamaParameters.Embedding].index_select(0, tokens);

    /// <summary>The logits [B, T, V] of hidden states [B, T, C].</summary>
    protected virtual Tensor Head(Tensor hidden) =>
        hidden.matmul(weights[config.TieWordEmbeddings ? LlamaParameters.Embedding : LlamaParameters.Head].t());

    /// <summary>The projection of [B, T, in] by the module of this name.</summary>
    protected virtual Tensor Linear(string name, Tensor x)
    {
        var y = x.matmul(weights[$"{name}.weight"].t());
        return weights.TryGetValue($"{name}.bias", out var bias) ? y + bias : y;
    }

    private Tensor Norm(string name, Tensor x) =>
        weights[$"{name}.weight"] * x / (x.square().mean([-1], keepdim: true) + Kept(config.RmsNormEps)).sqrt();

    /// <summary>[B, N, T, D] vectors, encoded as <see cref="PositionEncoding"/> defines it.</summary>
    private static Tensor Encode(PositionEncoding encoding, Tensor x)
    {
        switch (encoding)
        {
            case Rotation rotation:
                var half = rotation.HalfDim;
                var (cos, sin) = (Table(rotation.Cos, x, half), Table(rotation.Sin, x, half)); // [T, D/2]
                var (a, b) = (x.narrow(-1, 0, half), x.narrow(-1, half, half));
                return cat([(a * cos) - (b * sin), (b * cos) + (a * sin)], -1);

            case Reordering reordering:
                var group = x.shape[1] / reordering.Heads;
                var index = tensor(Array.ConvertAll(reordering.Index, i => (long)i)).view(reordering.Heads, -1, reordering.HeadDim);
                var reordered = x.gather(-1, index.repeat_interleave(group, 0).unsqueeze(0).expand(x.shape)); // element d is x[index[d]]
                return reordering.Scale is { } scale
                    ? reordered * Table(scale, x, 1).view(reordering.Heads, -1, 1).repeat_interleave(group, 0)
                    : reordered;

            case RotationByHead byHead:
                var isChosen = tensor(byHead.IsChosen).view(-1, 1, byHead.Chosen.HalfDim);
                return where(cat([isChosen, isChosen], -1), Encode(byHead.Chosen, x), Encode(byHead.Others, x));

            default:
                return x;
        }
    }

    private static Tensor Table(float[] values, Tensor like, long columns) => tensor(values, [values.Length / columns, columns]).to(like.dtype);

    /// <summary>[T, T] whether the band holds a pair.</summary>
    private static Tensor Seen(Band band)
    {
        var keys = arange(Kept(band.First.Length)); // [T]
        return keys.ge(tensor(band.First).unsqueeze(-1)).logical_and(keys.le(tensor(band.Last).unsqueeze(-1)));
    }

    /// <summary>[H, T, T] slope[h] * (position[j] - position[i]), or zero.</summary>
    private static Tensor Bias(Band band, TokenPositions positions, ScalarType dtype)
    {
        if (band.BiasSlopes is not { } slopes)
        {
            return zeros([], dtype);
        }

        var at = tensor(Array.ConvertAll(positions.Ids, id => (double)id)).to(dtype); // [T]
        return tensor(slopes, [slopes.Length, 1, 1]).to(dtype) * (at.unsqueeze(0) - at.unsqueeze(1));
    }
}
