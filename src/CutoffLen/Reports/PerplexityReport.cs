using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Reports;

/// <summary>A line of a report's settings.</summary>
/// <param name="Name">What is set.</param>
/// <param name="Value">To what.</param>
public sealed record Setting(string Name, string Value);

/// <summary>A protocol and what it does.</summary>
/// <param name="Name">As numbers carry it.</param>
/// <param name="Definition">One line.</param>
/// <param name="TextStart">What stands before a text: how BOS was handled.</param>
public sealed record ProtocolNote(string Name, string Definition, string TextStart);

/// <summary>The texts measured on.</summary>
/// <param name="Sources">Paths as given.</param>
/// <param name="Texts">How many texts.</param>
/// <param name="Tokens">Tokens of all of them.</param>
/// <param name="Bytes">UTF-8 bytes of all of them.</param>
/// <param name="LongestTokens">Tokens of the longest.</param>
public sealed record Corpus(IReadOnlyList<string> Sources, int Texts, long Tokens, long Bytes, int LongestTokens)
{
    /// <summary>Counts texts.</summary>
    public static Corpus Of(EvaluationTexts texts) => new(
        texts.Sources, texts.Texts.Count, texts.Texts.Sum(t => (long)t.Tokens.Length), texts.Texts.Sum(t => t.Bytes), texts.Texts.Max(t => t.Tokens.Length));
}

/// <summary>A bound on the context that theory predicts.</summary>
/// <param name="Name">Short, for a chart.</param>
/// <param name="Tokens">The bound in tokens; infinite for "none".</param>
/// <param name="Source">Formula and paper.</param>
public sealed record PredictedBound(string Name, double Tokens, string Source);

/// <summary>That the position method was applied.</summary>
/// <param name="TableHash">Hash of the rotary tables and bands.</param>
/// <param name="LargestLogitDifference">From vanilla RoPE on a probe; 0 only for a method that is vanilla here.</param>
public sealed record MethodProof(string TableHash, double LargestLogitDifference);

/// <summary>A model with a position method, and all that was measured of it.</summary>
/// <param name="Model">Name of the checkpoint.</param>
/// <param name="Method">The position method's spec with its factor resolved.</param>
/// <param name="NativeLength">Tokens the checkpoint was trained at.</param>
/// <param name="Proof">That the method was applied.</param>
/// <param name="Protocols">Perplexity by protocol.</param>
/// <param name="Curve">NLL by position.</param>
/// <param name="Bounds">What theory predicts for it.</param>
public sealed record MeasuredMethod(
    string Model, string Method, int NativeLength, MethodProof? Proof,
    IReadOnlyList<ProtocolResult> Protocols, PositionCurve? Curve, IReadOnlyList<PredictedBound> Bounds)
{
    /// <summary>Passkey retrieval, where it was measured.</summary>
    public PasskeyResult? Passkey { get; init; }

    /// <summary>LongPPL over all texts long enough, where it was measured.</summary>
    public LongPplSummary? LongPpl { get; init; }

    /// <summary>Attention resolution of each layer, where it was measured.</summary>
    public IReadOnlyList<double>? AttentionResolution { get; init; }
}

/// <summary>A method's differences from the baseline, the first model and method of the report.</summary>
/// <param name="Model">Name of the checkpoint.</param>
/// <param name="Method">The position method's spec.</param>
/// <param name="Protocol">Name of the protocol.</param>
/// <param name="Differences">By length.</param>
public sealed record MethodComparison(string Model, string Method, string Protocol, IReadOnlyList<PairedDifference> Differences);

/// <summary>A sweep as it is reported: what was run on what, what came out, and all that says how.</summary>
/// <param name="Made">When.</param>
/// <param name="Program">Name and version of this program.</param>
/// <param name="Dtype">Number format of the model; scores are float32 in any.</param>
/// <param name="Settings">Command, device, seeds, batches, ...</param>
/// <param name="Protocols">The protocols used.</param>
/// <param name="Lengths">Context lengths in tokens.</param>
/// <param name="Corpus">The texts.</param>
/// <param name="Measured">Results; the first is the baseline of comparisons.</param>
/// <param name="Comparisons">Paired differences from the baseline.</param>
/// <param name="Notes">What the reader should know: texts left out, few texts, ...</param>
public sealed record PerplexityReport(
    DateTimeOffset Made,
    string Program,
    string Dtype,
    IReadOnlyList<Setting> Settings,
    IReadOnlyList<ProtocolNote> Protocols,
    IReadOnlyList<int> Lengths,
    Corpus Corpus,
    IReadOnlyList<MeasuredMethod> Measured,
    IReadOnlyList<MethodComparison> Comparisons,
    IReadOnlyList<string> Notes)
{
    /// <summary>What to call a result: the method alone where there is one model.</summary>
    public string LabelOf(MeasuredMethod measured) => LabelOf(measured.Model, measured.Method);

    /// <summary>What to call a result: the method alone where there is one model, the model alone where there is one method.</summary>
    public string LabelOf(string model, string method)
    {
        if (Measured.All(m => m.Model == Measured[0].Model))
        {
            return method;
        }

        return Measured.All(m => m.Method == Measured[0].Method) ? model : $"{model} · {method}";
    }
}
