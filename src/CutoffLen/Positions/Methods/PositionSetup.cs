using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// The position methods of one model for one target length. It is made once per run and passed on, so that specs are resolved
/// and methods are created once.
/// </summary>
public sealed class PositionSetup
{
    /// <summary>Fills in the defaults of a spec and creates its methods.</summary>
    /// <param name="spec">The method; not auto, which only a checkpoint resolves.</param>
    /// <param name="model">The model.</param>
    /// <param name="targetLength">
    /// Tokens: the cutoff in training, the longest length of an evaluation, the number of tokens when scoring. A missing factor
    /// is this length over the native one, and at least 1. Null for the native length.
    /// </param>
    /// <exception cref="UserException">A required key is missing, or keys or layers contradict each other or the model.</exception>
    public PositionSetup(PositionSpec spec, PositionModel model, int? targetLength = null)
    {
        if (model.HeadDim < 4 || model.HeadDim % 2 != 0)
        {
            throw new UserException($"position methods need an even head dimension of at least 4, not {model.HeadDim}");
        }

        (Model, TargetLength) = (model, targetLength ?? model.NativeLength);
        Spec = spec.Resolve(model, TargetLength);
        RefuseWholeHeads();
        Layers = Spec.Layers.Count == 0 && Create(Spec) is { DiffersByLayer: false } method ? WithWindows(Modified(method, Spec)) : ByLayer();
    }

    /// <summary>The spec with every default filled in.</summary>
    public PositionSpec Spec { get; }

    /// <summary>The method of each decoder layer.</summary>
    public LayerPlan Layers { get; }

    /// <summary>The method of every layer.</summary>
    /// <exception cref="InvalidOperationException">Layers have different methods.</exception>
    public PositionMethod Method => Layers.OfEveryLayer ?? throw new InvalidOperationException($"'{Spec}' gives layers different methods");

    /// <summary>Vanilla RoPE in every layer of the model.</summary>
    public LayerPlan Vanilla => WithWindows(new RopeMethod(Model));

    /// <summary>The model that it is for.</summary>
    public PositionModel Model { get; }

    /// <summary>Tokens that a missing factor is computed for, and up to which the method is checked.</summary>
    public int TargetLength { get; }

    private PositionMethod Create(PositionSpec spec) => ((MethodEntry)spec.Method.Entry).Create(spec.Method, Model);

    private PositionMethod Modified(PositionMethod method, PositionSpec spec) =>
        spec.Modifiers.Aggregate(method, (inner, part) => ((ModifierEntry)part.Entry).Apply(part, Model, inner));

    private void RefuseWholeHeads()
    {
        var parts = Spec.Layers.Select(layers => layers.Spec).Prepend(Spec.WithoutLayers()).SelectMany(spec => spec.Modifiers.Prepend(spec.Method));
        if (Model.UnencodedDim > 0 && parts.FirstOrDefault(part => part.Entry.EncodesWholeHeads) is { } whole)
        {
            throw new UserException(
                $"'{whole}' encodes whole heads, but this model's partial_rotary_factor leaves {Model.UnencodedDim} of the {Model.HeadDim + Model.UnencodedDim} numbers of a head as they are");
        }
    }

    private LayerPlan WithWindows(PositionMethod ofEveryLayer) => Model.Windows is null ? ofEveryLayer : WithWindows(_ => ofEveryLayer);

    /// <summary>Methods by layer, under the sliding windows of their layers. Equal ones are one object.</summary>
    private LayerPlan WithWindows(Func<int, PositionMethod> methodOf)
    {
        var windowed = new Dictionary<(PositionMethod, int), PositionMethod>();
        return new LayerPlan([.. Enumerable.Range(0, Model.Layers).Select(layer =>
        {
            var method = methodOf(layer);
            return Model.Windows?[layer] is not { } window ? method
                : windowed.TryGetValue((method, window), out var known) ? known
                : windowed[(method, window)] = new SlidingWindowMethod(method, window);
        })]);
    }

    private LayerPlan ByLayer()
    {
        if (Model.Layers == 0)
        {
            throw new UserException($"'{Spec}' gives layers different methods, and how many layers there are is not known here");
        }

        var all = Enumerable.Range(0, Model.Layers);
        if (Spec.Layers.FirstOrDefault(layers => !all.Any(layers.Layers.Contains)) is { } none)
        {
            throw new UserException($"'{none}' selects no layer: the model's are 0 to {Model.Layers - 1}");
        }

        // Equal specs are one method, unless it differs by layer.
        var created = new Dictionary<PositionSpec, PositionMethod>();
        var modified = new Dictionary<(PositionSpec, PositionMethod), PositionMethod>();
        return WithWindows(layer =>
        {
            var spec = SpecOf(layer);
            var method = (created.TryGetValue(spec, out var known) ? known : created[spec] = Create(spec)).OfLayer(layer);
            return modified.TryGetValue((spec, method), out var same) ? same : modified[(spec, method)] = Modified(method, spec);
        });
    }

    private PositionSpec SpecOf(int layer)
    {
        var named = Spec.Layers.Where(layers => layers.Layers.Contains(layer)).ToList();
        return named.Count <= 1 ? named.FirstOrDefault()?.Spec ?? Spec.WithoutLayers()
            : throw new UserException($"'{named[0]}' and '{named[1]}' both select layer {layer}");
    }
}
