using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Training;
using DenseAttention = CutoffLen.Tests.Models.Attention.DenseAttention;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Tests.Models.Llama;

/// <summary>
/// LLaMA's formulas as one writes them with autograd, from a network's weights by name: the reference of the network's own
/// forward and backward passes. It shares no code with them.
/// </summary>
internal sealed class PlainLlama(LlamaConfig config, IReadOnlyDictionary<string, Tensor> weights)
{
    /// <summary>The reference around copies of a network's weights, all trained, in a wider dtype where one is given.</summary>
    public static PlainLlama Of(LlamaForCausalLM model, ScalarType? dtype = null) => new(
        model.Config,
        model.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach().to(dtype ?? p.parameter.dtype, copy: true).requires_grad_()));

    /// <summary>The weights by name.</summary>
    public IReadOnlyDictionary<string, Tensor> Weights => weights;

    /// <summary>The low-rank adapter of a projection: A [r, in], B [out, r], scale; and dropout of its inputs by the adapter's number.</summary>
    public IReadOnlyDictionary<string, (Tensor A, Tensor B, double Scale, int Number)> Adapters { get; init; } =
        new Dictionary<string, (Tensor, Tensor, double, int)>();

    public LoraDropout? Dropout { get; init; }

    /// <summary>Logits [N, V] of tokens [B, T].</summary>
    public Tensor Logits(Tensor tokens, PositionMethod method, TokenPositions positions)
    {
        var x = weights["model.embed_tokens.weight"].index_select(0, tokens.flatten()); // [N, C]
        for (var n = 0; n < config.NumHiddenLayers; n++)
        {
            var layer = $"model.layers.{n}";
            var h = Norm(x, $"{layer}.input_layernorm");
            var attended = DenseAttention.Attend(
                method, positions, config, Heads(h, $"{layer}.self_attn.q_proj"), Heads(h, $"{layer}.self_attn.k_proj"), Heads(h, $"{layer}.self_attn.v_proj"));
            x = x + Project(attended.transpose(1, 2).flatten(0, 1).flatten(1), $"{layer}.self_attn.o_proj");
            h = Norm(x, $"{layer}.post_attention_layernorm");
            x = x + Project(silu(Project(h, $"{layer}.mlp.gate_proj")) * Project(h, $"{layer}.mlp.up_proj"), $"{layer}.mlp.down_proj");
        }

        return linear(Norm(x, "model.norm"), weights[config.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"]);

        Tensor Heads(Tensor h, string name) => Project(h, name).view(tokens.shape[0], tokens.shape[1], -1, config.HeadDim).transpose(1, 2); // [B, H, T, D]
    }

    /// <summary>The mean loss, after its gradients were left in the weights.</summary>
    public double Backward(Tensor tokens, Tensor targets, PositionMethod method, TokenPositions positions)
    {
        var mean = cross_entropy(Logits(tokens, method, positions), targets.flatten());
        mean.backward();
        return mean.to(ScalarType.Float64).item<double>();
    }

    private Tensor Norm(Tensor x, string name)
    {
        var h = x.dtype == ScalarType.BFloat16 ? x.to(ScalarType.Float32) : x;
        return weights[$"{name}.weight"] * (h * (h.square().mean([-1], keepdim: true) + config.RmsNormEps).rsqrt()).to(x.dtype);
    }

    private Tensor Project(Tensor x, string name)
    {
        var y = linear(x, weights[$"{name}.weight"], weights.GetValueOrDefault($"{name}.bias"));
        return Adapters.TryGetValue(name, out var adapter)
            ? y + (linear(linear(Dropout!.Apply(x, adapter.Number, 0), adapter.A), adapter.B) * adapter.Scale)
            : y;
    }
}
