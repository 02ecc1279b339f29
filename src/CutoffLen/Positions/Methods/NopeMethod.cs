using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// No positional encoding (NoPE, arXiv 2305.19466): queries and keys do not rotate, as if all positions were 0. DroPE (arXiv
/// 2512.12167) removes RoPE from a trained model and recalibrates it at its original length; on longer texts logits are
/// multiplied by beta* = 1 + c ln(s), s the test length over the original. The authors' <c>softmax_scale</c>
/// (SakanaAI/DroPE, custom_models/attention.py) is the whole factor of the logits, beta* / sqrt(D).
/// </summary>
/// <param name="model">The model.</param>
/// <param name="logitScale">beta*.</param>
public sealed class NopeMethod(PositionModel model, double logitScale) : FrequencyMethod
{
    // Frequency 0 is no rotation. The scale is on queries and on keys.
    private readonly Frequencies frequencies = new(new double[model.HeadDim / 2], Math.Sqrt(logitScale));

    /// <summary>The registry's line of NoPE.</summary>
    public static MethodEntry Entry { get; } = new(
        "nope", "No positional encoding: nothing rotates.", "2305.19466", [], (_, model) => new NopeMethod(model, 1))
    {
        Vanilla = null,
        Exceptions = NoRotation,
    };

    /// <summary>The registry's line of DroPE.</summary>
    public static MethodEntry DropeEntry { get; } = new(
        "drope", "DroPE: RoPE removed after training; logits times 1 + coefficient ln(factor).", "2512.12167",
        [
            CommonKeys.Factor,
            SpecKey.Number("coefficient", 0, 10, 0.103, "the paper's: 0.412 trained from scratch, 0.103 SmolLM"),
        ],
        (part, model) => new NopeMethod(model, 1 + (part.Number("coefficient") * Math.Log(part.Number("factor")))))
    {
        EncodesWholeHeads = true,
        Vanilla = null,
        Exceptions = NoRotation,
    };

    private static IReadOnlyDictionary<PositionProperty, string> NoRotation =>
        new Dictionary<PositionProperty, string> { [PositionProperty.VanillaAtFactorOne] = "it does not rotate" };

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;
}
