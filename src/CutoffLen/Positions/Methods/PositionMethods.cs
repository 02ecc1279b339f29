using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// The registry of position methods and modifiers. A new method is a class with its <see cref="MethodEntry"/>, one line here,
/// and reference values in the tests. The spec grammar, `rope list`, `--rope`, config.json and the property tests read the
/// entry. Positions/README.md, "Adding a position method", is an example.
/// </summary>
public static class PositionMethods
{
    /// <summary>Every method.</summary>
    public static IReadOnlyList<MethodEntry> All { get; } =
    [
        RopeMethod.Entry,
        AbfMethod.Entry,
        LinearMethod.Entry,
        DynamicLinearMethod.Entry,
        NtkMethod.Entry,
        DynamicNtkMethod.Entry,
        NtkPartsMethod.Entry,
        DynamicNtkPartsMethod.Entry,
        NtkMixedMethod.Entry,
        YarnMethod.Entry,
        DynamicYarnMethod.Entry,
        LongRopeMethod.Entry,
        Llama3Method.Entry,
        GiraffePowerMethod.Entry,
        GiraffeTruncatedMethod.Entry,
        PRopeMethod.Entry,
        NopeMethod.Entry,
        NopeMethod.DropeEntry,
        XposMethod.Entry,
        ReRopeMethod.Entry,
        LeakyReRopeMethod.Entry,
        SelfExtendMethod.Entry,
        DualChunkMethod.Entry,
        AlibiMethod.Entry,
        PermuteMethod.Entry,
        ClexMethod.Entry,
    ];

    /// <summary>Every modifier, in the order in which they are applied; resonance changes frequencies and must be first.</summary>
    public static IReadOnlyList<ModifierEntry> Modifiers { get; } =
        [ResonanceMethod.Entry, BlockwiseCausalMethod.Entry, LogNMethod.Entry, TemperatureMethod.Entry];

    private static SpecGrammar Grammar { get; } = new([.. All, MethodEntry.Auto], Modifiers);

    /// <summary>The spec <c>auto</c>: a checkpoint's own method.</summary>
    public static PositionSpec Auto { get; } = Parse(MethodEntry.Auto.Name);

    /// <summary>The spec that a text means; names are case-insensitive, and '-' and '_' are the same.</summary>
    /// <exception cref="UserException">An unknown method, modifier or key, or a value that is not allowed.</exception>
    public static PositionSpec Parse(string text) => Grammar.Parse(text);

    /// <summary>A spec with more modifiers.</summary>
    /// <exception cref="UserException">It has one of them already.</exception>
    internal static PositionSpec Combine(PositionSpec spec, IReadOnlyList<SpecPart> modifiers) => Grammar.Combine(spec, modifiers);
}
