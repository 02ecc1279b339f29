using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Standins.Tests.Contracts;

/// <summary>C# spellings of types, parameters, default values and constraints, as the listings in tests/contracts have them.</summary>
internal static class Signature
{
    private static readonly Dictionary<Type, string> Keywords = new()
    {
        [typeof(void)] = "void", [typeof(object)] = "object", [typeof(string)] = "string", [typeof(bool)] = "bool",
        [typeof(char)] = "char", [typeof(sbyte)] = "sbyte", [typeof(byte)] = "byte", [typeof(short)] = "short",
        [typeof(ushort)] = "ushort", [typeof(int)] = "int", [typeof(uint)] = "uint", [typeof(long)] = "long",
        [typeof(ulong)] = "ulong", [typeof(float)] = "float", [typeof(double)] = "double", [typeof(decimal)] = "decimal",
    };

    /// <summary>A declared type: its namespace, the types it is nested in, its generic parameters.</summary>
    public static string FullName(Type type)
    {
        var name = Nested(type, [.. type.GetGenericArguments().Select(argument => argument.Name)]);
        return type.Namespace is null ? name : $"{type.Namespace}.{name}";
    }

    /// <summary>A type where it is used: a keyword or the name without namespace; tuple elements without names.</summary>
    public static string Name(Type type) => Name(type, new Queue<string?>());

    public static string Return(MethodInfo method) =>
        (method.ReturnType.IsByRef ? "ref " : "") + Name(method.ReturnType, TupleNames(method.ReturnParameter));

    public static string Parameters(MethodBase method)
    {
        var list = string.Join(", ", method.GetParameters().Select(Parameter));
        return method.IsDefined(typeof(ExtensionAttribute), false) ? "this " + list : list;
    }

    public static string Parameter(ParameterInfo parameter)
    {
        var variable = parameter.IsDefined(typeof(ParamArrayAttribute), false) ? "params " : "";
        var direction = !parameter.ParameterType.IsByRef ? "" : parameter.IsOut ? "out " : parameter.IsIn ? "in " : "ref ";
        var value = parameter.HasDefaultValue ? " = " + Literal(parameter.RawDefaultValue, parameter.ParameterType) : "";
        return $"{variable}{direction}{Name(parameter.ParameterType, TupleNames(parameter))} {parameter.Name}{value}";
    }

    public static string Literal(object? value, Type type)
    {
        var underlying = Nullable.GetUnderlyingType(type);
        if (value is null or Missing or DBNull)
            return type.IsValueType && underlying is null ? "default" : "null";
        var target = underlying ?? type;
        if (target.IsEnum)
            return Enum.GetName(target, Enum.ToObject(target, value)) is { } name ? $"{target.Name}.{name}" : $"({target.Name}){value}";
        return value switch
        {
            string text => $"\"{text}\"",
            bool truth => truth ? "true" : "false",
            char character => $"'{character}'",
            float number => number.ToString("R", CultureInfo.InvariantCulture) + "f",
            _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
        };
    }

    public static string Constraints(Type[] arguments) =>
        string.Concat(arguments.Where(argument => argument.IsGenericParameter)
            .Select(argument => (argument.Name, List: string.Join(", ", Constraints(argument))))
            .Where(clause => clause.List.Length > 0)
            .Select(clause => $" where {clause.Name} : {clause.List}"));

    private static IEnumerable<string> Constraints(Type argument)
    {
        var attributes = argument.GenericParameterAttributes;
        var isStruct = attributes.HasFlag(GenericParameterAttributes.NotNullableValueTypeConstraint);
        if (argument.GetCustomAttributesData().Any(attribute => attribute.AttributeType.Name == "IsUnmanagedAttribute"))
            yield return "unmanaged";
        else if (isStruct)
            yield return "struct";
        if (attributes.HasFlag(GenericParameterAttributes.ReferenceTypeConstraint))
            yield return "class";
        foreach (var type in argument.GetGenericParameterConstraints().OrderBy(type => type.Name, StringComparer.Ordinal))
            if (type != typeof(ValueType))
                yield return Name(type);
        if (attributes.HasFlag(GenericParameterAttributes.DefaultConstructorConstraint) && !isStruct)
            yield return "new()";
    }

    // The compiler stores the names of all tuple elements of a type in one list, outer tuples first.
    private static Queue<string?> TupleNames(ParameterInfo parameter) =>
        new(parameter.GetCustomAttribute<TupleElementNamesAttribute>()?.TransformNames ?? []);

    private static string Name(Type type, Queue<string?> tupleNames)
    {
        if (type.IsByRef)
            return Name(type.GetElementType()!, tupleNames);
        if (type.IsArray)
            return $"{Name(type.GetElementType()!, tupleNames)}[{new string(',', type.GetArrayRank() - 1)}]";
        if (type.IsPointer)
            return Name(type.GetElementType()!, tupleNames) + "*";
        if (type.IsGenericParameter)
            return type.Name;
        if (Keywords.TryGetValue(type, out var keyword))
            return keyword;
        if (Nullable.GetUnderlyingType(type) is { } underlying)
            return Name(underlying, tupleNames) + "?";
        var arguments = type.GetGenericArguments();
        return type.IsAssignableTo(typeof(ITuple)) && type.IsValueType && arguments.Length > 0
            ? Tuple(arguments, tupleNames)
            : Nested(type, [.. arguments.Select(argument => Name(argument, tupleNames))]);
    }

    private static string Tuple(Type[] elements, Queue<string?> tupleNames)
    {
        var names = elements.Select(_ => tupleNames.TryDequeue(out var name) ? name : null).ToArray();
        var spelled = elements.Select((type, i) => Name(type, tupleNames) + (names[i] is null ? "" : " " + names[i]));
        return $"({string.Join(", ", spelled)})";
    }

    // Reflection gives a nested type the generic arguments of the types around it as well, outermost first.
    private static string Nested(Type type, string[] arguments)
    {
        var (outer, used) = type.DeclaringType is { } declaring
            ? (Nested(declaring, arguments) + ".", declaring.GetGenericArguments().Length)
            : ("", 0);
        var own = arguments[used..type.GetGenericArguments().Length];
        var mark = type.Name.IndexOf('`', StringComparison.Ordinal);
        return outer + (mark < 0 ? type.Name : $"{type.Name[..mark]}<{string.Join(", ", own)}>");
    }
}
