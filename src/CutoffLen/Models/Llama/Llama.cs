using CutoffLen.Models.Attention;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Models.Llama;

/// <summary>
/// Gives each parameter of a model by its Hugging Face name, in the wanted shape, dtype and device. A model is built
/// around the tensors of a checkpoint, or around new ones, so that no weight is held twice.
/// </summary>
public delegate Tensor WeightSource(string name, long[] shape);

/// <summary>
/// The LLaMA network: embedding, decoder layers, norm, head, with Hugging Face's parameter names. An
/// <see cref="AttentionPlan"/> from outside says how attention sees positions; nothing here knows a position method.
/// <para>
/// Shapes: B batch, T tokens, C hidden, I intermediate, H query heads, K key/value heads, D head dimension, V vocabulary.
/// </para>
/// </summary>
public sealed class LlamaForCausalLM : Module
{
    [ComponentName(Name = "model")]
    private readonly LlamaModel decoder;

    [ComponentName(Name = "lm_head")]
    private readonly Linear? head;

    /// <summary>Builds the network around the weights that <paramref name="weights"/> hands out.</summary>
    public LlamaForCausalLM(LlamaConfig config, WeightSource weights)
        : base(nameof(LlamaForCausalLM))
    {
        Config = config;
        decoder = new LlamaModel(config, weights);
        head = config.TieWordEmbeddings
            ? null
            : new Linear("lm_head", config.HiddenSize, config.VocabSize, bias: false, weights);
        RegisterComponents();
    }

    /// <summary>The architecture.</summary>
    public LlamaConfig Config { get; }

    /// <summary>The decoder layers, first to last.</summary>
    public IReadOnlyList<LlamaDecoderLayer> Layers => decoder.Layers;

    /// <summary>[V, C] the matrix of the output head; the embedding's where they are tied.</summary>
    public Tensor HeadWeight => head?.Weight ?? decoder.EmbeddingWeight;

    /// <summary>The dtype of the weights, which is that of the residual stream.</summary>
    public ScalarType Dtype => decoder.EmbeddingWeight.dtype;

    /// <summary>The device of the weights.</summary>
    public Device Device => decoder.EmbeddingWeight.device;

    /// <summary>[B, T] tokens to the hidden states after the final norm, [B, T, C].</summary>
    public Tensor Hidden(Tensor tokens, AttentionPlan plan, KvCache? cache = null)
    {
        var x = Embed(tokens);
        for (var n = 0; n < Layers.Count; n++)
        {
            using var previous = x; // a long row's layers would not fit in memory together
            x = Layers[n].forward(previous, plan, cache?[n]);
        }

        return Norm(x);
    }

    /// <summary>[B, T] tokens to the first residual stream, [B, T, C].</summary>
    public Tensor Embed(Tensor tokens) =>
        decoder.EmbeddingWeight.index_select(0, tokens.flatten()).view([.. tokens.shape, -1]); // [B*T, C] to [B, T, C]

    /// <summary>The final norm of the residual stream, [B, T, C].</summary>
    public Tensor Norm(Tensor x) => decoder.FinalNorm.forward(x);

    /// <summary>[..., C] hidden states to logits, [..., V], in the weights' dtype.</summary>
    public Tensor Logits(Tensor hidden) => linear(hidden, HeadWeight);
}

/// <summary>Embedding, layers and final norm: what Hugging Face calls <c>model</c>.</summary>
internal sealed class LlamaModel : Module
{
    [ComponentName(Name = "embed_tokens")]
    private readonly TokenEmbedding embedding;

    [ComponentName(Name = "layers")]
    private readonly ModuleList<LlamaDecoderLayer> layers;

    [ComponentName(Name = "norm")]
    private readonly RmsNorm norm;

    public LlamaModel(LlamaConfig config, WeightSource weights)
        : base(nameof(LlamaModel))
    {
        embedding = new TokenEmbedding("model.embed_tokens", config, weights);
        var built = Enumerable.Range(0, config.NumHiddenLayers).Select(n => new LlamaDecoderLayer(config, n, weights));
        layers = new ModuleList<LlamaDecoderLayer>([.. built]);
        Layers = [.. layers];
        norm = new RmsNorm("model.norm", config, weights);
        RegisterComponents();
    }

    public IReadOnlyList<LlamaDecoderLayer> Layers { get; }

    public RmsNorm FinalNorm => norm;

    public Tensor EmbeddingWeight => embedding.Weight;
}

/// <summary>
/// One decoder layer. Training cuts it at attention: <see cref="Project"/> is before it, <see cref="Finish"/> after it.
/// </summary>
public sealed class LlamaDecoderLayer : Module
{
    [ComponentName(Name = "input_layernorm")]
    private readonly RmsNorm inputNorm;

    [ComponentName(Name = "self_attn")]
    private readonly LlamaAttention attention;

    [ComponentName(Name = "post_attention_layernorm")]
    private readonly RmsNorm outputNorm;

    [ComponentName(Name = "mlp")]
    private readonly LlamaMlp mlp;

    internal LlamaDecoderLayer(LlamaConfig config, int index, WeightSource weights)
        : base(nameof(LlamaDecoderLayer))
    {
        var name = $"model.layers.{index}";
        inputNorm = new RmsNorm($"{name}.input_layernorm", config, weights);
        attention = new LlamaAttention($"{name}.self_attn", config, weights);
        outputNorm = new RmsNorm($"{name}.post_attention_layernorm", config, weights);
        mlp = new LlamaMlp($"{name}.mlp", config, weights);
        RegisterComponents();
    }

    internal Tensor forward(Tensor x, AttentionPlan plan, LayerCache? cache)
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Project(x); // [B, H, T, D], [B, K, T, D], [B, K, T, D]
        (k, v) = cache?.Append(k, v) ?? (k, v);
        return Finish(x, plan.Attend(q, k, v)).MoveToOuterDisposeScope();
    }

    /// <summary>[B, T, C] to queries [B, H, T, D], keys and values [B, K, T, D], before any position encoding.</summary>
    public (Tensor Queries, Tensor Keys, Tensor Values) Project(Tensor x) => attention.Project(inputNorm.forward(x));

    /// <summary>Adds attention's result [B, H, T, D] and then the MLP's to the residual stream [B, T, C].</summary>
    public Tensor Finish(Tensor x, Tensor attended)
    {
        using var scope = NewDisposeScope();
        x = x + attention.Output(attended); // [B, T, C]
        return (x + mlp.forward(outputNorm.forward(x))).MoveToOuterDisposeScope();
    }
}

/// <summary>The embedding matrix. The network looks tokens up itself.</summary>
internal sealed class TokenEmbedding : Module
{
    private readonly Parameter weight;

    public TokenEmbedding(string name, LlamaConfig config, WeightSource weights)
        : base(nameof(TokenEmbedding))
    {
        weight = new Parameter(weights($"{name}.weight", [config.VocabSize, config.HiddenSize]), requires_grad: false);
        RegisterComponents();
    }

    public Tensor Weight => weight; // [V, C]
}

/// <summary>The projections around attention, grouped-query (arXiv 2305.13245).</summary>
internal sealed class LlamaAttention : Module
{
    private readonly Linear q_proj;
    private readonly Linear k_proj;
    private readonly Linear v_proj;
    private readonly Linear o_proj;
    private readonly long headDim;

    public LlamaAttention(string name, LlamaConfig config, WeightSource weights)
        : base(nameof(LlamaAttention))
    {
        headDim = config.HeadDim;
        var queries = config.NumAttentionHeads * config.HeadDim;
        var keys = config.NumKeyValueHeads * config.HeadDim;
        q_proj = new Linear($"{name}.q_proj", config.HiddenSize, queries, config.QkvBias, weights);
        k_proj = new Linear($"{name}.k_proj", config.HiddenSize, keys, config.QkvBias, weights);
        v_proj = new Linear($"{name}.v_proj", config.HiddenSize, keys, config.QkvBias, weights);
        o_proj = new Linear($"{name}.o_proj", queries, config.HiddenSize, config.OutputBias, weights);
        RegisterComponents();
    }

    public (Tensor Queries, Tensor Keys, Tensor Values) Project(Tensor x) =>
        (SplitHeads(q_proj.forward(x)), SplitHeads(k_proj.forward(x)), SplitHeads(v_proj.forward(x)));

    public Tensor Output(Tensor attended) => o_proj.forward(attended.transpose(1, 2).flatten(2)); // [B, T, H*D] to [B, T, C]

    private Tensor SplitHeads(Tensor x) => x.unflatten(2, -1, headDim).transpose(1, 2); // [B, H or K, T, D]
}

/// <summary>SwiGLU (arXiv 2002.05202).</summary>
internal sealed class LlamaMlp : Module<Tensor, Tensor>
{
    private readonly Linear gate_proj;
    private readonly Linear up_proj;
    private readonly Linear down_proj;

    public LlamaMlp(string name, LlamaConfig config, WeightSource weights)
        : base(nameof(LlamaMlp))
    {
        var (hidden, inner) = (config.HiddenSize, config.IntermediateSize);
        gate_proj = new Linear($"{name}.gate_proj", hidden, inner, config.MlpBias, weights);
        up_proj = new Linear($"{name}.up_proj", hidden, inner, config.MlpBias, weights);
        down_proj = new Linear($"{name}.down_proj", inner, hidden, config.MlpBias, weights);
        RegisterComponents();
    }

    public override Tensor forward(Tensor x) =>
        down_proj.forward(silu(gate_proj.forward(x)) * up_proj.forward(x)); // [B, T, I] to [B, T, C]
}

/// <summary>Root-mean-square norm (arXiv 1910.07467), computed in float32 whatever the dtype.</summary>
internal sealed class RmsNorm : Module<Tensor, Tensor>
{
    private readonly Parameter weight;
    private readonly double epsilon;

    public RmsNorm(string name, LlamaConfig config, WeightSource weights)
        : base(nameof(RmsNorm))
    {
        weight = new Parameter(weights($"{name}.weight", [config.HiddenSize]), requires_grad: false);
        epsilon = config.RmsNormEps;
        RegisterComponents();
    }

    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope(); // float32 copies are the largest tensors of a layer: none outlives its use
        var h = x.to(ScalarType.Float32);
        h = h * (h.square().mean([-1], keepdim: true) + Kept(epsilon)).rsqrt();
        return (weight * h.to(x.dtype)).MoveToOuterDisposeScope();
    }
}

/// <summary>y = x W^T + b, plus the output of a low-rank adapter where there is one.</summary>
public sealed class Linear : Module<Tensor, Tensor>
{
    private readonly Parameter weight;
    private readonly Parameter? bias;

    internal Linear(string name, long inFeatures, long outFeatures, bool bias, WeightSource weights)
        : base(nameof(Linear))
    {
        weight = new Parameter(weights($"{name}.weight", [outFeatures, inFeatures]), requires_grad: false);
        this.bias = bias ? new Parameter(weights($"{name}.bias", [outFeatures]), requires_grad: false) : null;
        RegisterComponents();
    }

    /// <summary>[out, in].</summary>
    public Tensor Weight => weight;

    /// <summary>The adapter, or null.</summary>
    public Module<Tensor, Tensor>? Adapter { get; set; }

    /// <inheritdoc/>
    public override Tensor forward(Tensor x)
    {
        var y = linear(x, weight, bias);
        return Adapter is null ? y : y + Adapter.forward(x);
    }
}

/// <summary>
/// Negative log-likelihoods of tokens: the head and a float32 log-softmax, over chunks of tokens. So logits are never
/// [T, V].
/// </summary>
public static class TokenLikelihood
{
    internal const long LogitsPerChunk = 16 << 20; // float32 elements: 64 MiB

    /// <summary>
    /// The NLL in nats, float32 [T - 1], of each token of a document (int64 [T]) after the tokens before it, from the hidden
    /// states [T, C] that come out of the final norm.
    /// </summary>
    public static Tensor OfDocument(LlamaForCausalLM model, Tensor hidden, Tensor tokens) =>
        NegativeLog(model, hidden.narrow(0, 0, tokens.shape[0] - 1), tokens.narrow(0, 1, tokens.shape[0] - 1));

    /// <summary>
    /// Negative log-likelihoods in nats, float32 [N], of <paramref name="targets"/> (int64 [N]) after the hidden
    /// states [N, C] that come out of the final norm.
    /// </summary>
    public static Tensor NegativeLog(LlamaForCausalLM model, Tensor hidden, Tensor targets)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var count = hidden.shape[0];
        var nll = empty([count], ScalarType.Float32, hidden.device);
        var step = Math.Max(1, LogitsPerChunk / model.Config.VocabSize);
        for (long at = 0; at < count; at += step)
        {
            using var chunk = NewDisposeScope();
            var rows = Math.Min(step, count - at);
            var logits = model.Logits(hidden.narrow(0, at, rows)).to(ScalarType.Float32); // [n, V]
            var chosen = logits.gather(-1, targets.narrow(0, at, rows).unsqueeze(-1)).squeeze(-1);
            nll.narrow(0, at, rows).copy_(logits.logsumexp(-1) - chosen);
        }

        return nll.MoveToOuterDisposeScope();
    }
}
