using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Positions.Theory;
using static TorchSharp.torch;

namespace CutoffLen.Models;

/// <summary>What a position method changes in a model's answers: the second half of a <see cref="PositionProof"/>.</summary>
public static class PositionProbe
{
    private const int Tokens = 64;

    /// <summary>
    /// The proof that a method is in force, checked: its tables at a few positions spread up to
    /// <paramref name="length"/>, so that methods which act on long rows only are seen to act, and the largest difference
    /// of the model's logits from vanilla RoPE's at the same positions.
    /// </summary>
    /// <param name="model">The network.</param>
    /// <param name="spec">Not auto.</param>
    /// <param name="length">The longest length of the run in tokens, which also fills in a missing factor.</param>
    /// <exception cref="InvalidOperationException">The method should change the answers and does not.</exception>
    public static (PositionProof Proof, double LargestLogitDifference) Prove(LlamaForCausalLM model, PositionSpec spec, int length)
    {
        var count = Math.Min(Tokens, length);
        var positions = new TokenPositions([.. Enumerable.Range(0, count).Select(i => count == 1 ? 0 : (int)((long)i * (length - 1) / (count - 1)))]);
        var proof = PositionProof.Of(spec, model.Config.Positions, length, positions);
        var method = PositionMethods.Create(spec, model.Config.Positions, length);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        // Tokens from all over the vocabulary: what they are does not matter, only that they differ.
        var tokens = tensor([.. Enumerable.Range(0, count).Select(i => i * 2654435761L % model.Config.VocabSize)]).to(model.Device).view(1, -1);
        var difference = (Logits(model, method, positions, tokens) - Logits(model, new RopeMethod(model.Config.Positions), positions, tokens))
            .abs().max().item<float>();
        proof.Check(difference);
        return (proof, difference);
    }

    private static Tensor Logits(LlamaForCausalLM model, PositionMethod method, TokenPositions positions, Tensor tokens)
    {
        using var plan = AttentionPlan.Create(method, positions, model.Config, model.Device);
        return model.Logits(model.Hidden(tokens, plan)).to(ScalarType.Float32);
    }
}
