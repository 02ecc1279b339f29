using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Theory;
using static TorchSharp.torch;

namespace CutoffLen.Models;

/// <summary>Compares a network's logits under a position method with those under vanilla RoPE.</summary>
public static class PositionProbe
{
    private const int Tokens = 64;

    /// <summary>
    /// The proof that a method is applied, and the largest difference of the logits from vanilla RoPE's at the same positions.
    /// The positions are spread over the target length, so that methods which change long rows only have an effect.
    /// </summary>
    /// <exception cref="InvalidOperationException">The method should change the logits and does not.</exception>
    public static (PositionProof Proof, double LargestLogitDifference) Prove(LlamaForCausalLM model, PositionSetup setup)
    {
        var length = setup.TargetLength;
        var count = Math.Min(Tokens, length);
        var positions = new TokenPositions([.. Enumerable.Range(0, count).Select(i => count == 1 ? 0 : (int)((long)i * (length - 1) / (count - 1)))]);
        var proof = PositionProof.Of(setup, positions);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        // Distinct tokens from the whole vocabulary.
        var tokens = tensor([.. Enumerable.Range(0, count).Select(i => i * 2654435761L % model.Config.VocabSize)]).to(model.Device).view(1, -1); // [1, T]
        var difference = (Logits(model, setup.Layers, positions, tokens) - Logits(model, setup.Vanilla, positions, tokens))
            .abs().max().item<float>();
        proof.Check(difference);
        return (proof, difference);
    }

    private static Tensor Logits(LlamaForCausalLM model, LayerPlan layers, TokenPositions positions, Tensor tokens)
    {
        using var plan = AttentionPlans.Create(layers, positions, model.Config, model.Device);
        return model.Logits(model.Hidden(tokens, plan)).to(ScalarType.Float32); // [1, T, V]
    }
}
