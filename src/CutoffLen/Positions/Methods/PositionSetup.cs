using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// A position method for one model and one target length. It is made once per run and passed on, so that specs are resolved
/// and methods are created once.
/// </summary>
public sealed class PositionSetup
{
    /// <summary>Fills in the defaults of a spec and creates its method.</summary>
    /// <param name="spec">The method; not auto, which only a checkpoint resolves.</param>
    /// <param name="model">The model.</param>
    /// <param name="targetLength">
    /// Tokens: the cutoff in training, the longest length of an evaluation, the number of tokens when scoring. A missing factor
    /// is this length over the native one, and at least 1. Null for the native length.
    /// </param>
    /// <exception cref="UserException">A required key is missing, or keys contradict each other or the model.</exception>
    public PositionSetup(PositionSpec spec, PositionModel model, int? targetLength = null)
    {
        if (model.HeadDim < 4 || model.HeadDim % 2 != 0)
        {
            throw new UserException($"position methods need an even head dimension of at least 4, not {model.HeadDim}");
        }

        (Model, TargetLength) = (model, targetLength ?? model.NativeLength);
        Spec = spec.Resolve(model, TargetLength);
        var method = ((MethodEntry)Spec.Method.Entry).Create(Spec.Method, model);
        Method = Spec.Modifiers.Aggregate(method, (inner, part) => ((ModifierEntry)part.Entry).Apply(part, model, inner));
    }

    /// <summary>The spec with every default filled in.</summary>
    public PositionSpec Spec { get; }

    /// <summary>The method.</summary>
    public PositionMethod Method { get; }

    /// <summary>The model that it is for.</summary>
    public PositionModel Model { get; }

    /// <summary>Tokens that a missing factor is computed for, and up to which the method is checked.</summary>
    public int TargetLength { get; }
}
