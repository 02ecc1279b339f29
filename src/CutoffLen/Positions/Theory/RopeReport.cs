using CutoffLen.Positions.Methods;

namespace CutoffLen.Positions.Theory;

/// <summary>The result of `cutoff rope show`: exact frequencies, bands and theoretical reach of a method.</summary>
/// <param name="Spec">Resolved and canonical.</param>
/// <param name="Length">Tokens of the document, which is also the target length.</param>
/// <param name="AttentionScale">Factor on rotated queries and on rotated keys.</param>
/// <param name="InvFreq">[D/2] radians per token; empty where nothing is rotated.</param>
/// <param name="Bands">The parts of attention.</param>
/// <param name="Hash">See <see cref="PositionProof"/>.</param>
/// <param name="DiffersFromVanilla">Whether vanilla RoPE has another hash.</param>
/// <param name="Wavelengths">[D/2] tokens in which a pair turns once.</param>
/// <param name="Theory">Reach in theory.</param>
public sealed record RopeReport(
    string Spec,
    int Length,
    double AttentionScale,
    IReadOnlyList<double> InvFreq,
    IReadOnlyList<RopeReport.BandReport> Bands,
    string Hash,
    bool DiffersFromVanilla,
    IReadOnlyList<double> Wavelengths,
    RopeReport.TheoryReport? Theory)
{
    /// <summary>The report on one document of the target length. Layers may only differ in which pairs they select (dpe's topk).</summary>
    public static RopeReport Of(PositionSetup setup)
    {
        var length = setup.TargetLength;
        var positions = TokenPositions.Sequential(length);
        var proof = PositionProof.Of(setup, positions);
        var method = setup.Layers[0];
        var frequencies = method.RotaryFrequencies(length);
        return new RopeReport(
            proof.Spec,
            length,
            frequencies?.AttentionScale ?? 1,
            frequencies?.InverseFrequencies ?? [],
            [.. method.Bands(positions).Select(BandReport.Of)],
            proof.Hash,
            proof.DiffersFromVanilla,
            frequencies is null ? [] : RopeTheory.Wavelengths(frequencies),
            frequencies is null ? null : TheoryReport.Of(frequencies, setup.Model, length));
    }

    /// <summary>Summary of a band.</summary>
    /// <param name="Queries">rotation, unchanged or reordering.</param>
    /// <param name="Keys">rotation, unchanged or reordering.</param>
    /// <param name="Pairs">Pairs of a query and a key that it scores.</param>
    /// <param name="Nearest">Smallest distance among them, in tokens.</param>
    /// <param name="Farthest">Largest distance among them, in tokens.</param>
    /// <param name="Slopes">[H] of its bias, or null.</param>
    public sealed record BandReport(string Queries, string Keys, long Pairs, int? Nearest, int? Farthest, IReadOnlyList<double>? Slopes)
    {
        /// <summary>Summarizes a band.</summary>
        public static BandReport Of(Band band)
        {
            var rows = Enumerable.Range(0, band.First.Length).Where(i => band.First[i] <= band.Last[i]).ToArray();
            return new BandReport(
                NameOf(band.Queries),
                NameOf(band.Keys),
                rows.Sum(i => band.Last[i] - band.First[i] + 1L),
                rows.Length == 0 ? null : rows.Min(i => i - band.Last[i]),
                rows.Length == 0 ? null : rows.Max(i => i - band.First[i]),
                band.BiasSlopes);
        }

        private static string NameOf(PositionEncoding encoding) => encoding switch
        {
            Rotation => "rotation",
            Reordering => "reordering",
            RotationByHead => "rotation by head",
            _ => "unchanged",
        };
    }

    /// <summary>See <see cref="RopeTheory"/>.</summary>
    /// <param name="CriticalDimension">Of training at the native length.</param>
    /// <param name="ExtrapolationBound">Tokens in which the first pair beyond it turns once under this method.</param>
    /// <param name="LeastBase">For this length.</param>
    /// <param name="ShareWithoutFullTurn">Share of the pairs that do not turn once within the native length.</param>
    /// <param name="ScalingLaw">Of fine-tuning at this length, or the native one where that is longer; null where the frequencies are not those of a base.</param>
    /// <param name="AngleDisturbance">Of the rotary angles at this length, against those of vanilla RoPE at the native one.</param>
    public sealed record TheoryReport(
        int CriticalDimension, double ExtrapolationBound, double LeastBase, double ShareWithoutFullTurn, ScalingLaw? ScalingLaw, AngleDisturbance AngleDisturbance)
    {
        /// <summary>Computes them.</summary>
        public static TheoryReport Of(Frequencies frequencies, PositionModel model, int length)
        {
            var critical = RopeTheory.CriticalDimension(model.HeadDim, model.Base, model.NativeLength);
            return new TheoryReport(
                critical,
                RopeTheory.ExtrapolationBound(frequencies, critical),
                RopeTheory.LeastBase(model.HeadDim, length),
                RopeTheory.ShareWithoutFullTurn(frequencies, model.NativeLength),
                ScalingLaw.Of(model, frequencies, Math.Max(length, model.NativeLength)),
                AngleDisturbance.Of(frequencies, length, model));
        }
    }
}
