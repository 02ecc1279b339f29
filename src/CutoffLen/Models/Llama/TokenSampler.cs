using CutoffLen.Positions;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Models.Llama;

/// <summary>How the next token is chosen.</summary>
/// <param name="Temperature">What logits are divided by; 0 for the likeliest token.</param>
/// <param name="TopP">Nucleus sampling (arXiv 1904.09751): the likeliest tokens that together reach this probability are drawn from.</param>
/// <param name="Seed">Of the draws.</param>
public sealed record Sampling(double Temperature = 0, double TopP = 1, int Seed = 0);

/// <summary>Continues a text token by token.</summary>
public sealed class TokenSampler(LlamaForCausalLM model, LayerPlan layers, Sampling sampling)
{
    /// <summary>The tokens that follow a prompt, up to one of <paramref name="stop"/> or to <paramref name="most"/> of them.</summary>
    public IEnumerable<int> Continue(int[] prompt, int most, IReadOnlyCollection<int> stop)
    {
        using var generator = new Generator((ulong)sampling.Seed);
        using var decoder = new KvCacheDecoder(model, layers, prompt.Length + most);
        var tokens = new List<int>(prompt);
        for (var n = 0; n < most; n++)
        {
            var next = Next([.. tokens], decoder, generator);
            if (stop.Contains(next))
            {
                yield break;
            }

            tokens.Add(next);
            yield return next;
        }
    }

    private int Next(int[] tokens, KvCacheDecoder decoder, Generator generator)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var hidden = decoder.Hidden(tokens); // [1, C]
        return Choose(model.Logits(hidden[0]).to(ScalarType.Float32).cpu(), generator);
    }

    private int Choose(Tensor logits, Generator generator)
    {
        if (sampling.Temperature == 0)
        {
            return (int)logits.argmax().item<long>();
        }

        var (probabilities, order) = (logits / Kept(sampling.Temperature)).softmax(-1).sort(-1, descending: true);
        var before = probabilities.cumsum(-1) - probabilities; // a token stays when those before it do not reach top-p
        var kept = probabilities * before.lt(Kept(sampling.TopP));
        return (int)order[kept.multinomial(1, generator: generator)].item<long>();
    }
}
