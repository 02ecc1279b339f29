using CutoffLen.Hardware;
using CutoffLen.Models.Attention;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Models.Llama;

/// <summary>
/// Gives each parameter of a model by its Hugging Face name, in the wanted shape, dtype and device. A model is built
/// around the tensors of a checkpoint, or around new ones, so that no weight is held twice. Projections may be quantized.
/// </summary>
public delegate StoredWeight WeightSource(string name, long[] shape);

/// <summary>
/// The LLaMA network: embedding, decoder layers, norm, head, with Hugging Face's parameter names.
/// <see cref="AttentionPlans"/> from outside say how attention sees positions; nothing here knows a position method.
/// <list type="bullet">
/// <item>Forward and backward passes are written out; no autograd graph is built.</item>
/// <item>Everything but attention is dense: it sees each token alone, and runs over chunks of tokens.</item>
/// <item>What a pass needs for a moment lies in a <see cref="Workspace"/>, used again by every chunk, layer and step.</item>
/// </list>
/// <para>
/// Shapes: B batch, T tokens, N = B*T, C hidden, I intermediate, H query heads, K key/value heads, D head dimension,
/// V vocabulary; n tokens of a chunk.
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
    public Tensor HeadWeight => head?.Weight ?? EmbeddingWeight;

    /// <summary>The adapter of the embedding, or null. A tied head does not see it.</summary>
    public IEmbeddingAdapter? EmbeddingAdapter { get; set; }

    /// <summary>The adapter of the output head, or null. A tied embedding does not see it.</summary>
    public ILinearAdapter? HeadAdapter { get; set; }

    /// <summary>The dtype of the weights, which is that of the residual stream.</summary>
    public ScalarType Dtype => EmbeddingWeight.dtype;

    /// <summary>The device of the weights.</summary>
    public Device Device => EmbeddingWeight.device;

    internal Tensor EmbeddingWeight => decoder.EmbeddingWeight; // [V, C]

    internal RmsNorm FinalNorm => decoder.FinalNorm;

    /// <summary>Memory of the passes through this network.</summary>
    internal Workspace Workspace { get; } = new();

    /// <summary>[B, T] tokens to the hidden states after the final norm, [B, T, C].</summary>
    public Tensor Hidden(Tensor tokens, AttentionPlans plans, KvCache? cache = null)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var x = Embed(tokens);
        for (var n = 0; n < Layers.Count; n++)
        {
            Layers[n].Forward(x, plans[n], cache?[n], Workspace);
        }

        FinalNorm.Forward(x, x, Workspace);
        return x.MoveToOuterDisposeScope();
    }

    /// <summary>[B, T] tokens to the first residual stream, [B, T, C].</summary>
    public Tensor Embed(Tensor tokens)
    {
        var x = empty([tokens.numel(), Config.HiddenSize], Dtype, Device);
        Embed(tokens.flatten(), x);
        return x.view([.. tokens.shape, -1]); // [N, C] to [B, T, C]
    }

    /// <summary>[..., C] hidden states to logits, [..., V], in the weights' dtype.</summary>
    public Tensor Logits(Tensor hidden)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var logits = linear(hidden, HeadWeight);
        HeadAdapter?.AddForward(hidden.reshape(-1, Config.HiddenSize), logits.view(-1, Config.VocabSize), 0);
        return logits.MoveToOuterDisposeScope();
    }

    /// <summary>Tokens, int64 [N], to the first residual stream, [N, C].</summary>
    internal void Embed(Tensor tokens, Tensor output)
    {
        Kernels.Embedding(EmbeddingWeight, tokens, output);
        EmbeddingAdapter?.AddForward(tokens, output);
    }

    /// <summary>Hidden states [n, C] to logits [n, V]; the first row is token <paramref name="firstToken"/>.</summary>
    internal void Logits(Tensor hidden, Tensor output, long firstToken)
    {
        Kernels.Matmul(hidden, HeadWeight.t(), output);
        HeadAdapter?.AddForward(hidden, output, firstToken);
    }

    /// <summary>Puts adapters beside linear modules, by the modules' names. lm_head is the output head, tied or not.</summary>
    internal void Attach(IEnumerable<(string Module, ILinearAdapter Adapter)> adapters)
    {
        var projections = named_modules().Where(entry => entry.module is Linear && entry.module != head).ToDictionary(entry => entry.name, entry => (Linear)entry.module);
        foreach (var (module, adapter) in adapters)
        {
            if (module == "lm_head")
            {
                HeadAdapter = adapter;
            }
            else
            {
                projections[module].Adapter = adapter;
            }
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Workspace.Dispose();
        }

        base.Dispose(disposing);
    }
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
        norm = new RmsNorm("model.norm", config.HiddenSize, config, weights);
        RegisterComponents();
    }

    public IReadOnlyList<LlamaDecoderLayer> Layers { get; }

    public RmsNorm FinalNorm => norm;

    public Tensor EmbeddingWeight => embedding.Weight;
}

/// <summary>
/// One decoder layer. Attention cuts it in two dense parts: <see cref="Project"/> is before it, <see cref="Finish"/> after it.
/// </summary>
public sealed class LlamaDecoderLayer : Module
{
    [ComponentName(Name = "input_layernorm")]
    private readonly RmsNorm? inputNorm;

    [ComponentName(Name = "self_attn")]
    private readonly LlamaAttention attention;

    // Hugging Face has one name for the norm of the MLP's input (LLaMA) and of attention's result (OLMo 2).
    [ComponentName(Name = "post_attention_layernorm")]
    private readonly RmsNorm middleNorm;

    [ComponentName(Name = "mlp")]
    private readonly LlamaMlp mlp;

    [ComponentName(Name = "post_feedforward_layernorm")]
    private readonly RmsNorm? outputNorm;

    private readonly LlamaConfig config;

    internal LlamaDecoderLayer(LlamaConfig config, int index, WeightSource weights)
        : base(nameof(LlamaDecoderLayer))
    {
        this.config = config;
        var name = $"model.layers.{index}";
        var normsAfter = config.Family.NormsAfter;
        inputNorm = normsAfter ? null : Norm("input_layernorm");
        var attendedNorm = normsAfter ? Norm("post_attention_layernorm") : null;
        attention = new LlamaAttention($"{name}.self_attn", config, weights, attendedNorm);
        middleNorm = attendedNorm ?? Norm("post_attention_layernorm");
        outputNorm = normsAfter ? Norm("post_feedforward_layernorm") : null;
        mlp = new LlamaMlp($"{name}.mlp", config, weights, outputNorm);
        RegisterComponents();

        RmsNorm Norm(string norm) => new($"{name}.{norm}", config.HiddenSize, config, weights, normsAfter ? "branch " : "");
    }

    private RmsNorm? MlpNorm => outputNorm is null ? middleNorm : null;

    /// <summary>The whole layer on a residual stream [B, T, C], in place.</summary>
    internal void Forward(Tensor x, AttentionPlan plan, LayerCache? cache, Workspace workspace)
    {
        using var scope = NewDisposeScope();
        var rows = x.flatten(0, 1); // [N, C]
        var heads = LayerHeads.Take(workspace, "", config, rows);
        // The cache keeps keys before any position encoding.
        var encoding = new RowEncoding(cache is null ? plan.SharedEncoding : null, x.shape[1], config.HeadDim);
        Project(rows, heads, encoding, workspace);
        var (q, k, v) = heads.Split(x.shape[0], config.HeadDim); // [B, H, T, D], [B, K, T, D], [B, K, T, D]
        (k, v) = cache?.Append(k, v) ?? (k, v);
        var (attended, _) = plan.Attend(q, k, v, keepLogSumExp: false, areEncoded: encoding.Encoding is not null);
        Finish(rows, LayerHeads.Join(attended), rows, null, workspace);
    }

    /// <summary>The residual stream [N, C] to queries, keys and values; queries and keys encoded where an encoding is given.</summary>
    internal void Project(Tensor x, LayerHeads heads, RowEncoding encoding, Workspace workspace)
    {
        foreach (var chunk in TokenRange.Chunks(x, encoding.Length))
        {
            using var scope = NewDisposeScope();
            var h = Normed(inputNorm, chunk.Of(x), workspace); // [n, C]
            attention.Project(h, heads.Of(chunk), encoding, chunk, workspace);
        }
    }

    /// <summary>Adds attention's result and then the MLP's to the residual stream.</summary>
    /// <param name="x">[N, C] the residual stream.</param>
    /// <param name="attended">[N, H*D] attention's result.</param>
    /// <param name="output">[N, C] receives the layer's result; may be x.</param>
    /// <param name="kept">Receives what the backward pass would else compute again; null to keep nothing.</param>
    /// <param name="workspace">Memory for the moment.</param>
    internal void Finish(Tensor x, Tensor attended, Tensor output, DenseActivations? kept, Workspace workspace)
    {
        foreach (var chunk in TokenRange.Chunks(x))
        {
            using var scope = NewDisposeScope();
            var dense = kept?.Of(chunk) ?? DenseActivations.Take(workspace, "", config, chunk.Of(x));
            attention.Output.ForwardAdded(chunk.Of(x), chunk.Of(attended), dense.Middle, workspace, chunk.Start);
            var h = Normed(MlpNorm, dense.Middle, workspace); // [n, C]
            var activated = mlp.Activate(h, dense, workspace, chunk.Start); // [n, I]
            mlp.Output.ForwardAdded(dense.Middle, activated, chunk.Of(output), workspace, chunk.Start);
        }
    }

    /// <summary>The backward pass of <see cref="Finish"/>. Gradients of parameters are added to those they hold.</summary>
    /// <param name="x">[N, C] the residual stream before the layer.</param>
    /// <param name="attended">[N, H*D] attention's result.</param>
    /// <param name="kept">What the forward pass kept; null where it is computed again.</param>
    /// <param name="gradient">[N, C] the gradient of the layer's result; becomes that of the stream, attention's share left out.</param>
    /// <param name="attendedGradient">[N, H*D] receives the gradient of attention's result.</param>
    /// <param name="workspace">Memory for the moment.</param>
    internal void FinishBackward(Tensor x, Tensor attended, DenseActivations? kept, Tensor gradient, Tensor attendedGradient, Workspace workspace)
    {
        foreach (var chunk in TokenRange.Chunks(x))
        {
            using var scope = NewDisposeScope();
            var dense = kept?.Of(chunk) ?? DenseActivations.Take(workspace, "", config, chunk.Of(x));
            if (kept is null)
            {
                attention.Output.ForwardAdded(chunk.Of(x), chunk.Of(attended), dense.Middle, workspace, chunk.Start);
            }

            var h = Normed(MlpNorm, dense.Middle, workspace); // [n, C]
            var dY = chunk.Of(gradient);
            var dH = mlp.Backward(h, dense, kept?.Gate is not null, dY, workspace, chunk.Start); // [n, C]
            AddInputGradient(MlpNorm, dH, dense.Middle, dY, workspace);
            attention.Output.Backward(chunk.Of(attended), dY, chunk.Of(attendedGradient), workspace, chunk.Start);
        }
    }

    /// <summary>The backward pass of <see cref="Project"/>.</summary>
    /// <param name="x">[N, C] the residual stream before the layer.</param>
    /// <param name="headGradients">The gradients of queries, keys and values.</param>
    /// <param name="encoding">What queries and keys were encoded by.</param>
    /// <param name="gradient">[N, C] the stream's gradient, added to.</param>
    /// <param name="workspace">Memory for the moment.</param>
    internal void ProjectBackward(Tensor x, LayerHeads headGradients, RowEncoding encoding, Tensor gradient, Workspace workspace)
    {
        foreach (var chunk in TokenRange.Chunks(x, encoding.Length))
        {
            using var scope = NewDisposeScope();
            var h = Normed(inputNorm, chunk.Of(x), workspace); // [n, C]
            var dH = attention.ProjectBackward(h, headGradients.Of(chunk), encoding, chunk, workspace);
            AddInputGradient(inputNorm, dH, chunk.Of(x), chunk.Of(gradient), workspace);
        }
    }

    /// <summary>The input [n, C] of attention or of the MLP: the stream, normed where a norm is before it.</summary>
    private static Tensor Normed(RmsNorm? norm, Tensor x, Workspace workspace) => norm?.Forward(x, workspace) ?? x;

    private static void AddInputGradient(RmsNorm? norm, Tensor gradient, Tensor x, Tensor inputGradient, Workspace workspace)
    {
        if (norm is null)
        {
            inputGradient.add_(gradient);
        }
        else
        {
            norm.Backward(gradient, x, inputGradient, workspace);
        }
    }
}
