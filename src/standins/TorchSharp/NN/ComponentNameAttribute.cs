namespace TorchSharp.Utils;

/// <summary>The name under which <c>RegisterComponents</c> registers a field, where that isn't the field's own.</summary>
[AttributeUsage(AttributeTargets.All)]
public class ComponentNameAttribute : Attribute
{
    public string? Name { get; set; }
}
