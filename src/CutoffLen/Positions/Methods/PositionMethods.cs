using CutoffLen.Common;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// The registry of position methods and modifiers. A new method is a file with a class and its <see cref="MethodEntry"/>,
/// one line here, and reference values in the tests; everything else (the spec grammar, `rope list`, `--rope`, config.json,
/// the theories over all methods) follows from the entry. README.md, "Adding a position method", walks through one.
/// </summary>
public static class PositionMethods
{
    /// <summary>Every method.</summary>
    public static IReadOnlyList<MethodEntry> All { get; } =
    [
        RopeMethod.Entry,
        BaseMethod.Entry,
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
        XposMethod.Entry,
        ReRopeMethod.Entry,
        LeakyReRopeMethod.Entry,
        SelfExtendMethod.Entry,
        DualChunkMethod.Entry,
        AlibiMethod.Entry,
        PermuteMethod.Entry,
        ClexMethod.Entry,
    ];

    /// <summary>Every modifier, in the order in which they are applied.</summary>
    public static IReadOnlyList<ModifierEntry> Modifiers { get; } = [ResonanceMethod.Entry, BlockwiseCausalMethod.Entry, LogNMethod.Entry];

    /// <summary><c>auto</c>: a place holder in specs until the checkpoint is known (<see cref="PositionConfig"/>).</summary>
    public static MethodEntry Auto { get; } = new("auto", "What the checkpoint's config.json says.", "", [], (_, _) =>
        throw new UserException("the position method 'auto' needs a checkpoint that says what it is; name a method instead"));

    /// <summary>
    /// The spec with every default filled in that depends on the model or the target: a missing factor is the target
    /// length over the native one, and 1 when that is less.
    /// </summary>
    /// <param name="spec">Not auto (see <see cref="PositionConfig.Resolve(PositionSpec)"/>).</param>
    /// <param name="model">The model it is for.</param>
    /// <param name="targetLength">
    /// In tokens: the cutoff in training, the longest length of a sweep, the number of tokens when scoring.
    /// </param>
    /// <exception cref="UserException">A required key is missing.</exception>
    public static PositionSpec Resolve(PositionSpec spec, PositionModel model, int? targetLength) => spec.Resolve(model, targetLength);

    /// <summary>The method of a spec for a model; see <see cref="Resolve(PositionSpec, PositionModel, int?)"/> for what a missing factor means.</summary>
    /// <exception cref="UserException">A required key is missing, or keys contradict each other or the model.</exception>
    public static PositionMethod Create(PositionSpec spec, PositionModel model, int? targetLength)
    {
        if (model.HeadDim < 4 || model.HeadDim % 2 != 0)
        {
            throw new UserException($"position methods need an even head dimension of at least 4, not {model.HeadDim}");
        }

        var resolved = Resolve(spec, model, targetLength);
        var method = ((MethodEntry)resolved.Method.Entry).Create(resolved.Method, model);
        return resolved.Modifiers.Aggregate(method, (inner, part) => ((ModifierEntry)part.Entry).Apply(part, model, inner));
    }

    internal static int OrderOf(ModifierEntry entry) => Modifiers.TakeWhile(modifier => modifier != entry).Count();
}
