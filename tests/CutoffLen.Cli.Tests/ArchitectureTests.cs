using CutoffLen.Common;
using Mono.Cecil;
using Mono.Cecil.Cil;

namespace CutoffLen.Cli.Tests;

/// <summary>Folders are namespaces, and a namespace refers only to those above it in these lists: no circles, no upward arrows.</summary>
public sealed class ArchitectureTests
{
    private static readonly string[] Library =
    [
        "CutoffLen.Common", "CutoffLen.Files", "CutoffLen.Hub",
        "CutoffLen.Tokenization.Expressions", "CutoffLen.Tokenization.HuggingFace", "CutoffLen.Tokenization",
        "CutoffLen.Positions", "CutoffLen.Positions.Spec", "CutoffLen.Positions.Methods", "CutoffLen.Positions.HuggingFace",
        "CutoffLen.Positions.Theory", "CutoffLen.Positions.Search", "CutoffLen.Positions.PositionIds",
        "CutoffLen.Hardware",
        "CutoffLen.Distributed",
        "CutoffLen.Models.Attention", "CutoffLen.Models.Llama", "CutoffLen.Models",
        "CutoffLen.Checkpoints.Safetensors", "CutoffLen.Checkpoints.Gguf", "CutoffLen.Checkpoints.Lora", "CutoffLen.Checkpoints",
        "CutoffLen.Data",
        "CutoffLen.Training.Optimizers", "CutoffLen.Training",
        "CutoffLen.Memory",
        "CutoffLen.Evaluation.Scoring", "CutoffLen.Evaluation.Protocols", "CutoffLen.Evaluation.Measures", "CutoffLen.Evaluation.Statistics",
        "CutoffLen.Evaluation", "CutoffLen.Evaluation.Ruler", "CutoffLen.Evaluation.PosGen",
        "CutoffLen.Configuration",
        "CutoffLen.Runs", "CutoffLen.Runs.Check",
        "CutoffLen.Reports.Charts", "CutoffLen.Reports.Html", "CutoffLen.Reports",
    ];

    private static readonly string[] Program = ["CutoffLen.Cli.Interaction", "CutoffLen.Cli.Options", "CutoffLen.Cli.Commands", "CutoffLen.Cli"];

    [Fact]
    public void Arrows_of_the_library_point_downward() => Assert.Empty(Faults(typeof(UserException).Assembly.Location, Library));

    [Fact]
    public void Arrows_of_the_program_point_downward() => Assert.Empty(Faults(typeof(Program).Assembly.Location, Program));

    [Fact]
    public void An_upward_arrow_is_found_in_a_signature_and_in_a_body_and_so_is_a_namespace_without_a_place()
    {
        string[] order = ["CutoffLen.Cli.Tests.Sample.Low", "CutoffLen.Cli.Tests.Sample.High"];
        var faults = Faults(typeof(ArchitectureTests).Assembly.Location, order, "CutoffLen.Cli.Tests.Sample");
        Assert.Contains("Lower.Body refers to CutoffLen.Cli.Tests.Sample.High", faults);
        Assert.Contains("Lower.Signature refers to CutoffLen.Cli.Tests.Sample.High", faults);
        Assert.Contains("CutoffLen.Cli.Tests.Sample.Elsewhere has no place in the order", faults);
        Assert.Equal(3, faults.Count);
    }

    /// <summary>References that go up, and namespaces that the order does not know.</summary>
    private static List<string> Faults(string assembly, string[] order, string root = "CutoffLen")
    {
        using var module = ModuleDefinition.ReadModule(assembly);
        var faults = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var type in module.Types.Where(type => type.Namespace.StartsWith(root, StringComparison.Ordinal)))
        {
            var own = Array.IndexOf(order, type.Namespace);
            if (own < 0)
            {
                faults.Add($"{type.Namespace} has no place in the order");
                continue;
            }

            foreach (var (member, reference) in References(type))
            {
                if (Array.IndexOf(order, reference) > own)
                {
                    faults.Add($"{type.Name}.{member} refers to {reference}");
                }
            }
        }

        return [.. faults];
    }

    private static IEnumerable<(string Member, string Namespace)> References(TypeDefinition type)
    {
        var shape = type.Interfaces.Select(i => i.InterfaceType).Append(type.BaseType).Concat(Attributes(type));
        var fields = type.Fields.SelectMany(field => Attributes(field).Append(field.FieldType).Select(t => (field.Name, (TypeReference?)t)));
        var methods = type.Methods.SelectMany(method => Types(method).Select(t => (method.Name, t)));
        return shape.Select(t => ("base", (TypeReference?)t)).Concat(fields).Concat(methods)
            .SelectMany(pair => Namespaces(pair.Item2).Select(found => (pair.Item1, found)))
            .Concat(type.NestedTypes.SelectMany(References));
    }

    private static IEnumerable<TypeReference?> Types(MethodDefinition method)
    {
        var signature = method.Parameters.Select(p => p.ParameterType).Append(method.ReturnType).Concat(Attributes(method));
        return method.HasBody
            ? signature.Concat(method.Body.Variables.Select(v => v.VariableType)).Concat(method.Body.Instructions.SelectMany(Types))
            : signature;
    }

    private static IEnumerable<TypeReference?> Types(Instruction instruction) => instruction.Operand switch
    {
        TypeReference type => [type],
        GenericInstanceMethod method => method.GenericArguments.Append(method.DeclaringType).Append(method.ReturnType),
        MethodReference method => [method.DeclaringType, method.ReturnType],
        FieldReference field => [field.DeclaringType, field.FieldType],
        _ => [],
    };

    private static IEnumerable<TypeReference> Attributes(ICustomAttributeProvider provider) => provider.CustomAttributes.Select(a => a.AttributeType);

    private static IEnumerable<string> Namespaces(TypeReference? type)
    {
        if (type is null)
        {
            return [];
        }

        var arguments = type is GenericInstanceType generic ? generic.GenericArguments.SelectMany(Namespaces) : [];
        var element = type.GetElementType();
        while (element.DeclaringType is { } outer)
        {
            element = outer;
        }

        return arguments.Append(element.Namespace);
    }
}
